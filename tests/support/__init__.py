"""Shared by tests of every kind."""
