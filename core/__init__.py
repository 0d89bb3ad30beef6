"""The application: model (pure), sync (orders side effects), store, engine, http, sandbox kit, api, cli."""
