"""Typer commands. Third-party imports are lazy, so that --help is fast."""
