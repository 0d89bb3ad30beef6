"""The only place that orders side effects: observe, decide, execute."""
