"""The quickbooks connector. See README.md in this folder."""
