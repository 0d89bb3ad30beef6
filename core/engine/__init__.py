"""Runs lanes: the embedded engine behind the engine port."""
