"""Losses of decode heads, without logits at full resolution."""
