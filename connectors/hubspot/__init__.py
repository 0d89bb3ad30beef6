"""The hubspot connector. See README.md in this folder."""
