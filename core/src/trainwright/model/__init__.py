"""Find a model (hub id, folder, `package:NAME`), load it, and add adapters."""
