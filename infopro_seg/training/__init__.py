"""The train step, its distributed wrapper and the training loop."""
