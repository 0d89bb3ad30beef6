"""One folder per provider, all of one inner shape. Discovered by name; see CONTRIBUTING.md."""
