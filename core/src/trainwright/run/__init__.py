"""One run: its folder, checkpoints, resume, answers and report."""
