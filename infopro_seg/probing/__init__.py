"""Probes a trained network: what its features still say about image and classes, depth by depth.

This is what figures 2 and 3 of the paper show. Read `run` first: it trains and evaluates the probes of a
network. `command` is the whole of `tools/probe.py`.
"""
