"""Turns errors that mmengine raises while it builds the parts of a config into config errors."""

from __future__ import annotations

import inspect
import re
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import torch
from mmengine.dist import is_distributed
from mmengine.registry import Registry

from infopro_seg.errors import ConfigError, RankError, UserError
from infopro_seg.faults import MACHINE, cause_of, own_place
from infopro_seg.spelling import arguments_of, did_you_mean
from infopro_seg.training.interruptions.ranks import says_lost

REMEDY = 'correct that part of the config, or the --cfg-options that set it'
BUILDS = ('build_from_cfg', 'build_scheduler_from_cfg')  # mmengine's calls that build a dict(type=...)
SIGNATURE = re.compile(
    r"(?P<call>[\w.]+)\(\) got an unexpected keyword argument '(?P<name>\w+)'"
    r'|missing \d+ required|positional argument|multiple values for'
)


@contextmanager
def building(part: str, **inner: str) -> Iterator[None]:
    """Names the part of the config that is built inside the block, if building fails.

    A fault inside the user's own module is not the config's fault: it is passed on unchanged, with a note
    about what was built. The place where it was raised tells it apart.

    Args:
        part: a key of the config, e.g. `train_cfg`.
        inner: other parts that are built on the way, keyed by the function or registry that builds them,
            e.g. `build_dataloader='train_dataloader'`.

    Raises:
        ConfigError: the part cannot be built.
        RankError: another process of the training is gone.
    """
    try:
        yield
    except (UserError, MemoryError, torch.OutOfMemoryError):
        raise
    except Exception as error:  # a part may be anybody's class and raise anything
        if isinstance(error, OSError) and error.errno in MACHINE:
            raise
        if isinstance(error, RuntimeError) and is_distributed() and says_lost(error):
            raise RankError(
                'another process ended before the training began; its own message says why, unless '
                f'it was killed ({str(error).splitlines()[0]})'
            ) from error
        message, is_own = explain(part, error, **inner)
        if is_own:
            error.add_note(message)
            raise
        raise ConfigError(message) from error


def explain(part: str, error: BaseException, **inner: str) -> tuple[str, bool]:
    """Explains an error that was raised while a part of a config was built, see :func:`building`.

    Returns:
        The message, and whether the fault is in the user's own code.
    """
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    build: FrameType | None = None
    outside = 2  # frames: this module's, and the one with the block
    for number, frame in enumerate(frames, 1):
        is_build = frame.f_code.co_name in BUILDS and 'cfg' in frame.f_locals
        registry = frame.f_locals['registry'] if is_build else None
        name = registry.name if isinstance(registry, Registry) else frame.f_code.co_name
        if name.replace(' ', '_') in inner:
            part, build = inner[name.replace(' ', '_')], None
        if is_build:
            build, outside = frame, number
    found = build.f_locals if build is not None else {}
    kind = _name_of(found.get('obj_type') or _type_in(found.get('cfg')))
    what = f'the {part} of the config' + (f' ({kind})' if kind else '')
    signature = SIGNATURE.search(str(error)) if isinstance(error, TypeError) else None
    name = signature['name'] if signature else None
    place = own_place(error, outside)
    if place is not None and name not in found.get('args', {}):
        return f'raised in {place}, while {what} was built', True
    cause = f'cannot build {what}: {cause_of(error)}'
    if isinstance(error, KeyError) and found.get('obj_cls', '') is None:
        return f'cannot build {what}: {unregistered(str(kind), found["registry"])}', False
    if signature and name:
        accepted = arguments_of(_called(signature['call'], frames[-1], found.get('obj_cls')))
        takes = did_you_mean(name, accepted) or (f'; it accepts {", ".join(accepted)}' if accepted else '')
        remedy = 'To drop what a _base_ sets, write _delete_=True beside the type'
        return f'{cause}{takes}; {REMEDY}. {remedy}', False
    return f'{cause}; {REMEDY}', False


def unregistered(kind: str, registry: Registry) -> str:
    """The message for a type that a registry does not know."""
    near = did_you_mean(kind, _registered(registry))
    return (
        f'there is no {kind} among the registered {registry.name}s{near}; {REMEDY}. To register your '
        'own class, add its module to custom_imports of the config'
    )


def _type_in(cfg: Any) -> Any:
    return cfg.get('type') if isinstance(cfg, dict) else None


def _name_of(kind: Any) -> str | None:
    return kind if isinstance(kind, str) or kind is None else getattr(kind, '__name__', str(kind))


def _registered(registry: Registry) -> list[str]:
    names = list(registry.module_dict)
    return names + (_registered(registry.parent) if registry.parent is not None else [])


def _called(name: str, caller: FrameType, built: Any) -> Any:
    """The class that was called under a name such as `DataLoader.__init__`."""
    first = name.removesuffix('.__init__')
    called = caller.f_locals.get(first) or caller.f_globals.get(first)
    inherits = inspect.isclass(called) and inspect.isclass(built) and issubclass(built, called)
    return built if called is None or inherits else called


def require_call(
    function: Callable[..., Any],
    given: dict[str, Any],
    part: str,
    known: Iterable[str] = (),
    skipped: int = 0,
) -> None:
    """Checks that a function takes the arguments that it will get later.

    Args:
        function: the function.
        given: its arguments by name.
        part: the part of the config that has them, for the message.
        known: further names, for the message.
        skipped: number of the first parameters that are given by position.

    Raises:
        ConfigError: the function has no such parameter.
    """
    taken = list(inspect.signature(function).parameters)[skipped:]
    for name in given:
        if name not in taken:
            choices = [*known, *taken]
            hint = did_you_mean(name, choices) or f'; there are {", ".join(choices)}'
            raise ConfigError(f'{part} of the config does not accept {name}={given[name]!r}{hint}')
