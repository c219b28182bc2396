"""Imports timm and mmpretrain, if they are installed, also without torchvision.

Both import torchvision for their own data loading, and the encoders tested here never call it. Its wheels
do not fit a CPU-only torch, so where it is missing a stand-in takes its place while they are imported.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType
from typing import Any

from torch import nn

MODULES = ('timm', 'mmpretrain.models')


class _Name(type):
    """A class whose attributes are there, each another one."""

    def __getattr__(cls, name: str) -> str:
        if name.startswith('__'):
            raise AttributeError(name)
        return f'{cls.__name__}.{name}'


class _StandIn(ModuleType):
    """A module in which every name is a class that nothing is an instance of."""

    __path__: list[str] = []

    def __getattr__(self, name: str) -> type:
        if name.startswith('__'):
            raise AttributeError(name)
        return _Name(name, (nn.Module,), {})


class _Torchvision(MetaPathFinder, Loader):
    def find_spec(self, name: str, *_: Any) -> ModuleSpec | None:
        return ModuleSpec(name, self, is_package=True) if _is_torchvision(name) else None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return _StandIn(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """It has no code."""


def _is_torchvision(name: str) -> bool:
    return name.partition('.')[0] == 'torchvision'


def _torchvision_works() -> bool:
    try:
        import_module('torchvision')
    except (ImportError, RuntimeError):  # the second where it was built for another torch
        return False
    return True


def _forget_torchvision() -> None:
    for name in filter(_is_torchvision, [*sys.modules]):
        del sys.modules[name]


@contextmanager
def _with_torchvision() -> Iterator[None]:
    if _torchvision_works():
        yield
        return
    _forget_torchvision()
    finder = _Torchvision()
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
        _forget_torchvision()


def import_them() -> None:
    """Must run before mmseg is imported, which looks once whether timm is there."""
    installed = [module for module in MODULES if find_spec(module.partition('.')[0]) is not None]
    if installed:
        with _with_torchvision():
            for module in installed:
                import_module(module)


def has(package: str) -> bool:
    """Whether a package is installed."""
    return find_spec(package) is not None


def import_classification() -> None:
    """Imports what configs of classifiers ask for, if mmpretrain is installed."""
    if has('mmpretrain'):
        with _with_torchvision():
            import_module('infopro_seg.classification.register')
