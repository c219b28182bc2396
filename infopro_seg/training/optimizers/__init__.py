"""What wraps the optimizer: gradient clipping, layer-wise rates, mixed precision on a CPU."""
