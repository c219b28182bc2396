"""Trains recipes for a few iterations, to compare measurements with predictions.

Read `measure` first: it measures one recipe. `benchmark` is `tools/benchmark.py`: it measures several
recipes, each in its own process.
"""
