"""Metrics, and label images as the official evaluations read them."""
