"""Measures each block and head alone, and adds their costs up to the peak of any local module.

Read `chain` first: it says which numbers a piece has. `profile` measures them with `pieces`; `module_costs`
adds them up, with those of blocks that are recomputed together from `together`.
"""
