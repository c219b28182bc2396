"""Module-parallel training: all local modules train at once, each in its own process.

No gradient crosses a cut, so a process needs only the output of the previous module.
"""
