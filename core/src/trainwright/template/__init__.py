"""Chat templates: the built-in providers, masks derived and verified, and masked data sets."""
