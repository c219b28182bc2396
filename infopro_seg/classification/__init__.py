"""Image classification in local modules: the networks of the paper's Tables 1 to 4, on mmpretrain.

Nothing of this package is imported unless a config asks for it.
"""
