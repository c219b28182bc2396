"""Maps of logits at the size of an image, computed a band of rows at a time; they need no torch."""
