"""Traces and chains that several tests ask for, each made once for all processes that run tests."""

from __future__ import annotations

import hashlib
import os
import pickle
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from inspect import signature
from pathlib import Path
from typing import Any

import pytest

from infopro_seg.memory import StepTrace, trace_step
from infopro_seg.memory.costs.chain import Chain
from infopro_seg.memory.costs.profile import profile_chain


class _Known:
    """What was traced, by a text that says what of."""

    def __init__(self) -> None:
        self.here: dict[str, Any] = {}
        self.folder: Path | None = None  # where the processes leave it for each other

    def get(self, key: str) -> Any:
        """The trace, or None."""
        file = self._file(key)
        if key not in self.here and file is not None and file.exists():
            self.here[key] = pickle.loads(file.read_bytes())
        return self.here.get(key)

    def add(self, key: str, trace: Any) -> None:
        self.here[key] = trace
        file = self._file(key)
        if file is not None:
            part = file.with_suffix(f'.{os.getpid()}')
            part.write_bytes(pickle.dumps(trace))
            part.replace(file)

    def _file(self, key: str) -> Path | None:
        digest = hashlib.sha256(key.encode()).hexdigest()
        return None if self.folder is None else self.folder / f'{digest}.trace'


_known = _Known()


def trace_once(config: Any, *args: Any, **kwargs: Any) -> StepTrace:
    """`trace_step` of a config, or what it gave before for an equal one."""
    key = _key(trace_step, _traced_part(config), args, kwargs)
    found = _known.get(key)
    if found is None:
        found = trace_step(config, *args, **kwargs)
        _known.add(key, found)
    return found


def profile_once(config: Any, *args: Any, blocks_of: Chain | None = None, **kwargs: Any) -> Chain:
    """`profile_chain` of a config, or what it gave before for one with other cuts, or other recomputation."""
    part = _traced_part(config)
    backbone = part.get('model', part)['backbone']
    cuts = set(backbone.pop('cuts', None) or ())
    if backbone.pop('num_modules', None) is not None:
        cuts = set()
    backbone.pop('checkpoint', None)
    key = _key(profile_chain, part, args, kwargs)
    found = _known.get(key)
    if found is None or not cuts <= {block.name for block in found.blocks}:
        found = profile_chain(config, *args, blocks_of=blocks_of, **kwargs)
        _known.add(key, found)
    return found


@contextmanager
def all_once(folder: Path) -> Iterator[None]:
    """Lets everything in the package start from what was traced or measured for others.

    Tests that call :func:`trace_step` or :func:`profile_chain` themselves still have the real ones.

    Args:
        folder: of the run, the same for all its processes.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_known, 'folder', folder)
        for module in [module for name, module in sys.modules.items() if name.startswith('infopro_seg.')]:
            for real, once in ((trace_step, trace_once), (profile_chain, profile_once)):
                if getattr(module, real.__name__, None) is real:
                    patch.setattr(module, real.__name__, once)
        yield


def _traced_part(config: Any) -> Any:
    """What of a config decides about memory: neither its data nor its hooks, nor what is left out as well."""
    part = _plain(config.to_dict() if hasattr(config, 'to_dict') else config)
    part = {key: part.get(key) for key in ('model', 'optim_wrapper')} if 'model' in part else part
    backbone = part.get('model', part).get('backbone') or {}
    for option in ('checkpoint', 'checkpoint_heads'):
        if backbone.get(option) is False:
            del backbone[option]
    return part


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(value[key]) for key in sorted(value)}
    return [_plain(item) for item in value] if isinstance(value, (list, tuple)) else value


def _key(function: Callable[..., Any], part: Any, args: Any, kwargs: Any) -> str:
    """The same for equal arguments, however they are given."""
    given = signature(function).bind(part, *args, **kwargs)
    given.apply_defaults()
    return repr((function.__name__, _plain(given.arguments)))
