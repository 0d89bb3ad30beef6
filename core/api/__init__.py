"""FastAPI and Starlette applications: webhooks, registry API, ops API."""
