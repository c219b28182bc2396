"""Runs one training step on fake tensors, without a GPU, and follows the bytes that are alive.

Read `step` first: it contains `trace_step` and what it returns. `storages` does the counting, `fake_model`
builds the model and its batch, and `list_blocks` shows an encoder block by block.
"""
