"""Runs lanes, in this process."""
