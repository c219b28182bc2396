"""Checks of a training config, before the first iteration."""
