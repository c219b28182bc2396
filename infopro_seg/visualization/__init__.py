"""Pictures of a run: the panel of predictions, the curves."""
