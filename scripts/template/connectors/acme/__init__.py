"""The acme connector. See README.md in this folder."""
