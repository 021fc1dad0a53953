"""What a loss plugin sees: head functions, supervision, the loss context, normalisation and device metrics."""
