"""The memory of a prediction, traced on fake tensors: whole images, sliding windows, flips and scales.

Read `prediction` first: it traces one. `repeated_windows` and `sized_scores` let thousands of windows be
traced in seconds. `inference_plan` is `tools/plan.py --inference`.
"""
