"""Reference log-probabilities: which model they come from, and computing them once, before training."""
