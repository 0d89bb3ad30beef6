"""The stripe connector. See README.md in this folder."""
