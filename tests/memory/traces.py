"""Traces and chains that several tests ask for, each made once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from typing import Any

import pytest

from infopro_seg.memory import StepTrace, trace_step
from infopro_seg.memory.costs.chain import Chain
from infopro_seg.memory.costs.profile import profile_chain
from infopro_seg.memory.planning import turn_plans
from infopro_seg.memory.search import cuts, recipe_search

_known: dict[str, Any] = {}


def trace_once(config: Any, batch: int, crop: tuple[int, int], *args: Any, **kwargs: Any) -> StepTrace:
    """`trace_step` of a config, or what it gave before for an equal one."""
    key = repr((as_plain(config), batch, tuple(crop), args, sorted(kwargs.items())))
    if key not in _known:
        _known[key] = trace_step(config, batch, crop, *args, **kwargs)
    return _known[key]


def profile_once(
    config: Any, batch: int, crop: tuple[int, int], *args: Any, blocks_of: Chain | None = None, **kwargs: Any
) -> Chain:
    """`profile_chain` of a config, or what it gave before for one that differs in its number of modules."""
    plain = deepcopy(as_plain(config))
    backbone = plain.get('model', plain)['backbone']
    if backbone.pop('num_modules', None) is not None:
        backbone['cuts'] = ()
    key = repr(('profile', plain, batch, tuple(crop), args, sorted(kwargs.items())))
    if key not in _known:
        _known[key] = profile_chain(config, batch, crop, *args, blocks_of=blocks_of, **kwargs)
    return _known[key]


@contextmanager
def all_once() -> Iterator[None]:
    """Lets plans and balanced cuts start from what was measured for others."""
    with pytest.MonkeyPatch.context() as patch:
        for module in (cuts, recipe_search):
            patch.setattr(module, 'profile_chain', profile_once)
        for module in (cuts, recipe_search, turn_plans):
            patch.setattr(module, 'trace_step', trace_once)
        yield


def as_plain(config: Any) -> Any:
    return config.to_dict() if hasattr(config, 'to_dict') else config
