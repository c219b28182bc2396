"""The option `checkpoint` of a backbone: what blocks recompute in the backward pass, and which ones together.

A *segment* is a group of successive blocks that are recomputed together: only its input is kept, not the
states between its blocks. Longer segments keep less, but their recomputation holds all their activations at
once.

The notation, from the coarsest to the finest:

- `'norms'`: every block follows this policy, see :mod:`infopro_seg.models.recomputation.recompute`; each is
  its own segment.
- `'expansions*3'`: segments of three blocks, counted from the start of each local module.
- `'layer1-layer2: norms, layer3: expansions*3, layer4.0: blocks'`: policies for single blocks (`layer4.0`),
  stages (`layer3`) or ranges. Blocks that are not named keep everything. `*` without a number joins all
  named blocks into one segment. A segment never crosses a cut.
- a list of these, one for each local module.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import NamedTuple, TypeAlias

from infopro_seg.errors import ConfigError
from infopro_seg.models.recomputation.recompute import POLICIES, Policy

Option: TypeAlias = bool | str | Sequence[int | str]
EXAMPLE = "'layer1-layer2: norms, layer3: expansions*3'"


class Segment(NamedTuple):
    """Successive blocks that are recomputed together.

    Args:
        policy: what is recomputed; `none` keeps everything. See
            :mod:`infopro_seg.models.recomputation.recompute`.
        length: number of blocks.
    """

    policy: Policy
    length: int


KEPT = Segment('none', 1)


def module_segments(option: Option, modules: Sequence[Sequence[str]]) -> tuple[tuple[Segment, ...], ...]:
    """The segments of each local module, from the option `checkpoint` of a config.

    Args:
        option: False for nothing; True for whole blocks; the indices of the modules that recompute whole
            blocks; a text in the notation above for all modules; or a list of one such text per module.
        modules: the names of the blocks of each local module.

    Raises:
        ConfigError: the option is of another type, a policy or block is unknown, a block is named twice, a
            module's index is out of range, or a list has the wrong length.
    """
    texts = module_texts(option, len(modules))
    if isinstance(option, str) and ':' in option:
        names = [name for blocks in modules for name in blocks]
        ends = list(accumulate(len(blocks) for blocks in modules))
        return tuple(
            segments_between(option, names, end - len(blocks), end)
            for blocks, end in zip(modules, ends, strict=True)
        )
    return tuple(
        segments_between(text, blocks, 0, len(blocks)) for text, blocks in zip(texts, modules, strict=True)
    )


def module_texts(option: Option, count: int) -> tuple[str, ...]:
    """The text of each local module, from the option; see :func:`module_segments`."""
    if isinstance(option, bool):
        return (('blocks' if option else 'none'),) * count
    if isinstance(option, str):
        if ':' not in option:
            parse_policy(option)
        return (option,) * count
    if not isinstance(option, list | tuple):
        raise ConfigError(
            f'checkpoint={option!r}: give True, False, a policy such as {EXAMPLE}, or a list with one for '
            'each local module'
        )
    if all(isinstance(item, int) and not isinstance(item, bool) for item in option):
        wrong = [item for item in option if not 0 <= int(item) < count]
        if wrong:
            raise ConfigError(
                f'checkpoint={list(option)} names the modules {wrong}; the {count} local modules are '
                f'numbered 0 to {count - 1}'
            )
        return tuple('blocks' if index in option else 'none' for index in range(count))
    if len(option) != count:
        raise ConfigError(
            f'checkpoint={list(option)} lists {len(option)} policies for {count} local modules; give one '
            'for each, or a single one for all'
        )
    for item in option:
        if not isinstance(item, str) or ':' not in item:
            parse_policy(item)
    return tuple(str(item) for item in option)


def parse_policy(text: object) -> tuple[Policy, int | None]:
    """Reads `norms`, `norms*3` or `norms*`: policy and length, None for all named blocks.

    Raises:
        ConfigError: the policy is unknown, or the length is 0.
    """
    match = re.fullmatch(r'\s*(\w+)\s*(?:(\*)\s*(\d*))?\s*', text) if isinstance(text, str) else None
    if match is None or match[1] not in POLICIES:
        raise ConfigError(
            f'unknown checkpoint policy {text!r}; choose from {", ".join(POLICIES)}, as in "expansions", '
            f'"expansions*3" for segments of three blocks, or {EXAMPLE}'
        )
    if match[3] == '0':
        raise ConfigError(f'checkpoint={text!r} asks for segments of no blocks; give a number, 1 or more')
    policy: Policy = match[1]
    return policy, (int(match[3]) if match[3] else None) if match[2] else 1


def show_option(modules: Sequence[Sequence[Segment]], names: Sequence[Sequence[str]]) -> bool | str:
    """The shortest text for segments, or False if nothing is recomputed.

    Args:
        modules: the segments of each local module.
        names: the names of the blocks of each local module.
    """
    runs = [run for segments in modules for run in _runs(segments)]
    kinds = {(policy, length) for policy, length, _ in runs}
    if len(kinds) == 1 and len(runs) == len(modules):
        (policy, length), *_ = kinds
        return False if policy == 'none' else _policy_text(policy, length)
    every = [name for blocks in names for name in blocks]
    parts: list[tuple[str, int, int]] = []
    start, bounds = 0, set(accumulate(len(blocks) for blocks in names))
    for policy, length, count in runs:
        text, end = _policy_text(policy, length), start + count
        before = parts[-1] if parts else None
        if before and before[0] == text and before[2] == start and start in bounds:
            parts[-1] = (text, before[1], end)  # a new segment begins at the cut
        elif policy != 'none':
            parts.append((text, start, end))
        start = end
    return ', '.join(f'{_range_text(every, start, end)}: {text}' for text, start, end in parts)


def _runs(segments: Sequence[Segment]) -> list[tuple[Policy, int, int]]:
    """Stretches of equal segments: policy, length, and number of blocks; the last segment may be shorter."""
    runs: list[tuple[Policy, int, int]] = []
    for policy, length in segments:
        known = runs[-1] if runs else None
        if known and known[0] == policy and known[1] >= length and known[2] % known[1] == 0:
            runs[-1] = (policy, known[1], known[2] + length)
        else:
            runs.append((policy, length, length))
    return runs


def _policy_text(policy: str, length: int) -> str:
    return policy if length == 1 or policy == 'none' else f'{policy}*{length}'


def _range_text(names: Sequence[str], start: int, end: int) -> str:
    """How to name the blocks from `start` to `end - 1`: by stages if these are complete."""
    first, last = names[start], names[end - 1]
    for index, inside in ((start, -1), (end - 1, 1)):
        stage = names[index].rpartition('.')[0]
        beyond = index + inside
        of_stage = [i for i, name in enumerate(names) if stage and name.startswith(f'{stage}.')]
        if of_stage and (of_stage[0] >= start and of_stage[-1] < end) and beyond not in of_stage:
            first, last = (stage, last) if inside < 0 else (first, stage)
    return first if first == last else f'{first}-{last}'


def segments_between(text: str, names: Sequence[str], start: int, end: int) -> tuple[Segment, ...]:
    """The segments of the module with the blocks from `start` to `end - 1`; see :func:`module_segments`.

    Args:
        text: what the module recomputes.
        names: the blocks that the text may name.
        start: index of the module's first block.
        end: index after its last block.
    """
    if ':' not in text:
        return divided(*parse_policy(text), end - start)
    found: list[Segment] = []
    index = start
    for first, last, policy, length in _ranges(text, names):
        first, last = max(first, start), min(last, end)
        if first < last:
            found += [KEPT] * (first - index)
            found += divided(policy, length, last - first)
            index = last
    return (*found, *[KEPT] * (end - index))


def divided(policy: Policy, length: int | None, count: int) -> tuple[Segment, ...]:
    """Divides `count` blocks into segments of a length, the last perhaps shorter; None for one segment."""
    length = 1 if policy == 'none' else min(length or count, count)
    whole, rest = divmod(count, length)
    return (Segment(policy, length),) * whole + ((Segment(policy, rest),) if rest else ())


def _ranges(text: str, names: Sequence[str]) -> list[tuple[int, int, Policy, int | None]]:
    """Start, end, policy and length of each part of a text, in the order of the blocks."""
    found: list[tuple[int, int, str, Policy, int | None]] = []
    for part in filter(str.strip, text.split(',')):
        where, colon, what = part.partition(':')
        if not colon:
            raise ConfigError(f'checkpoint={text!r}: {part.strip()!r} names no blocks; write e.g. {EXAMPLE}')
        first, _, last = (name.strip() for name in where.partition('-'))
        begin = _blocks(first, names, text)[0]
        end = _blocks(last or first, names, text)[-1] + 1
        if end <= begin:
            raise ConfigError(f'checkpoint={text!r}: {last!r} comes before {first!r}; swap them')
        found.append((begin, end, where.strip(), *parse_policy(what)))
    found.sort(key=lambda item: item[:2])
    for (_, end, one, *_), (begin, _, other, *_) in pairwise(found):
        if begin < end:
            raise ConfigError(
                f'checkpoint={text!r} names {names[begin]!r} twice, in {one!r} and in {other!r}; a block has '
                'one policy'
            )
    return [(begin, end, policy, length) for begin, end, _, policy, length in found]


def _blocks(name: str, names: Sequence[str], text: str) -> list[int]:
    """The indices of the blocks that a name refers to: one block, or all of a stage."""
    found = [i for i, block in enumerate(names) if block == name or block.startswith(f'{name}.')]
    if not found or not name:
        raise ConfigError(
            f'checkpoint={text!r} names {name!r}, which is neither a block nor a stage here; choose from '
            f'{", ".join(names)}'
        )
    return found
