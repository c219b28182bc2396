"""Really trains recipes for a few steps, to compare what they take with what was predicted.

Read `measure` first: it trains one recipe. `benchmark` is `tools/benchmark.py`: several, each in its own
process.
"""
