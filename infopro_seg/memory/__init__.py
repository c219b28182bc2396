"""How much memory a training step takes, found without a GPU; cuts and recipes chosen by it."""
