"""The `httpboot` command."""
