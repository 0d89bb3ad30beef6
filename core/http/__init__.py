"""Shared HTTP transport: time-outs, rate limits, retries, the simulation seam."""
