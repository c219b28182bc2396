"""Imports the modules that lie beside benchmarks."""

import sys
from importlib import import_module
from pathlib import Path

BENCHMARKS = Path(__file__).parents[2] / 'docs/benchmarks'
CAMVID = BENCHMARKS / 'camvid'
CIFAR10 = BENCHMARKS / 'cifar10_jpeg'


def imported(monkeypatch, folder, module, registry=None, registered=None):
    """A module of a folder, imported anew; what it registers is forgotten after the test."""
    monkeypatch.syspath_prepend(folder)
    if registry is not None:
        others = {name: made for name, made in registry.module_dict.items() if name != registered}
        monkeypatch.setattr(registry, '_module_dict', others)
    import_module(module)
    return sys.modules.pop(module)
