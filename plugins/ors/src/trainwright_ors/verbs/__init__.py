"""`trainwright env`: look at a server, and play an episode of it by hand."""
