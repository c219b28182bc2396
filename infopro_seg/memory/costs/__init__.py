"""Measures each block and head alone, and computes the peak of any local module from these costs.

Read `chain` first: it lists the numbers of a piece. `profile` measures them with `pieces`. `module_costs`
adds them up, with `segments` for blocks that are recomputed together.
"""
