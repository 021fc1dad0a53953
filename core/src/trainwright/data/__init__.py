"""Data sets: local files checked row by row before a run, and every source loaded with its values kept."""
