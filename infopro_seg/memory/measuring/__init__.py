"""Trains recipes for a few steps, to compare measurements with predictions.

Read `measure` first: it trains one recipe. `benchmark` is `tools/benchmark.py`: it measures several recipes,
each in its own process.
"""
