"""Module-parallel training: each local module in a process of its own, all at once.

No gradient crosses a cut, so a process needs of the modules before its own only what they hand on.
"""
