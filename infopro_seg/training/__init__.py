"""Training from a config: checks, the loop, resuming, memory budgets, stages, one process per module."""
