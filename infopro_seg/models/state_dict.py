"""State-dict hooks that let the backbone wrapper save and load the encoder's own keys.

`backbone.encoder.layer1.0.conv1.weight` is stored as `backbone.layer1.0.conv1.weight`, the key of the
stock network. Only `backbone.local_heads.*` and, if used, `backbone.momentum_blocks.*` are added.
"""

from __future__ import annotations

from typing import Any

from torch import nn

ENCODER = 'encoder.'
TRAINING_ONLY = ('local_heads.', 'momentum_blocks.')  # what is dropped after training


def hide_encoder_prefix(
    module: nn.Module, state_dict: dict[str, Any], prefix: str, local_metadata: dict[str, Any]
) -> None:
    """Post-hook of `state_dict`: takes `encoder.` out of the keys, in place and in order."""
    _rename(state_dict, prefix, lambda rest: rest.removeprefix(ENCODER))
    metadata = getattr(state_dict, '_metadata', None)
    if metadata is not None:  # the version of each submodule, under its path without a final dot
        encoder = prefix + ENCODER
        for key in [key for key in metadata if f'{key}.'.startswith(encoder)]:
            metadata[f'{prefix}{f"{key}."[len(encoder) :]}'.rstrip('.')] = metadata.pop(key)


def show_encoder_prefix(module: nn.Module, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
    """Pre-hook of `load_state_dict`: the inverse of :func:`hide_encoder_prefix`."""
    _rename(
        state_dict,
        prefix,
        lambda rest: rest if rest.startswith(TRAINING_ONLY) else ENCODER + rest,
    )


def _rename(state_dict: dict[str, Any], prefix: str, rename: Any) -> None:
    for key in list(state_dict):
        value = state_dict.pop(key)  # popped and set again, so that the order stays
        if key.startswith(prefix):
            key = prefix + rename(key.removeprefix(prefix))
        state_dict[key] = value
