"""Recomputation: what the backward pass computes again, and the option `checkpoint` that says so."""
