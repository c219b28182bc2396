"""Traces and chains that several tests ask for, each made once."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from typing import Any

import pytest

from infopro_seg.memory import StepTrace, trace_step
from infopro_seg.memory.costs import Chain
from infopro_seg.memory.profile import profile_chain

_known: dict[str, Any] = {}


def trace_once(config: Any, batch: int, crop: tuple[int, int], *args: Any, **kwargs: Any) -> StepTrace:
    """`trace_step` of a config, or what it gave before for an equal one."""
    key = repr((traced_part(config), batch, tuple(crop), args, sorted(kwargs.items())))
    if key not in _known:
        _known[key] = trace_step(config, batch, crop, *args, **kwargs)
    return _known[key]


def profile_once(
    config: Any, batch: int, crop: tuple[int, int], *args: Any, blocks_of: Chain | None = None, **kwargs: Any
) -> Chain:
    """`profile_chain` of a config, or what it gave before for one that differs in its number of modules."""
    part = deepcopy(traced_part(config))
    backbone = part.get('model', part)['backbone']
    if backbone.pop('num_modules', None) is not None:
        backbone['cuts'] = ()
    key = repr(('profile', part, batch, tuple(crop), args, sorted(kwargs.items())))
    if key not in _known:
        _known[key] = profile_chain(config, batch, crop, *args, blocks_of=blocks_of, **kwargs)
    return _known[key]


@contextmanager
def all_once() -> Iterator[None]:
    """Lets everything in the package start from what was traced or measured for others.

    Tests that call :func:`trace_step` or :func:`profile_chain` themselves still have the real ones.
    """
    with pytest.MonkeyPatch.context() as patch:
        for module in [module for name, module in sys.modules.items() if name.startswith('infopro_seg.')]:
            for real, once in ((trace_step, trace_once), (profile_chain, profile_once)):
                if getattr(module, real.__name__, None) is real:
                    patch.setattr(module, real.__name__, once)
        yield


def traced_part(config: Any) -> Any:
    """What of a config decides about memory: neither its data nor its hooks."""
    plain = config.to_dict() if hasattr(config, 'to_dict') else config
    return {key: plain.get(key) for key in ('model', 'optim_wrapper')} if 'model' in plain else plain
