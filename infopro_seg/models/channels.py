"""Infers the `in_channels` of necks and heads from the encoder, so that encoders can be swapped."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

import torch
from mmseg.registry import MODELS
from torch import nn

from infopro_seg.errors import ConfigError


def infer_in_channels(
    head: dict[str, Any], name: str, out_channels: Sequence[int], source: str = 'encoder'
) -> dict[str, Any]:
    """Returns a head's config with `in_channels` (and `c1_in_channels`); missing ones are inferred.

    Args:
        head: config of an mmseg head.
        name: the head's key in the config, for error messages.
        out_channels: channels of each feature map that heads can read.
        source: `encoder` or `neck`, which returns the feature maps; for error messages.

    Raises:
        ConfigError: `in_index` is out of range, or the given `in_channels` is wrong.
    """
    index = head.get('in_index', -1)
    try:
        found = [out_channels[i] for i in index] if isinstance(index, (list, tuple)) else out_channels[index]
    except IndexError as error:
        raise ConfigError(
            f'{name}.in_index={index}, but the {source} returns {len(out_channels)} feature maps; '
            f'choose from 0 to {len(out_channels) - 1}, or extend the '
            f'{"num_outs of the neck" if source == "neck" else "out_indices of the encoder"}'
        ) from error
    given = head.get('in_channels', found)
    if (list(given) if isinstance(given, (list, tuple)) else given) != found:
        raise ConfigError(
            f'{name}.in_channels={given}, but the feature maps {index} of the {source} have {found} '
            'channels; leave in_channels out to have it inferred'
        )
    if 'c1_channels' in head:  # DeepLabV3+ reads the first feature map besides its in_index
        given = head.get('c1_in_channels', out_channels[0])
        if given not in (0, out_channels[0]):
            raise ConfigError(
                f'{name}.c1_in_channels={given}, but the first feature map of the {source} has '
                f'{out_channels[0]} channels; leave c1_in_channels out to have it inferred'
            )
        head = {**head, 'c1_in_channels': given}
    return {**head, 'in_channels': found}


def neck_config(neck: dict[str, Any], out_channels: Sequence[int]) -> dict[str, Any]:
    """Returns a neck's config with `in_channels`, inferred if the neck needs it and the config lacks it.

    Args:
        neck: config of an mmseg neck.
        out_channels: channels of each of the encoder's outputs.

    Raises:
        ConfigError: the given `in_channels` is wrong.
    """
    given = neck.get('in_channels')
    if given is not None:
        if isinstance(given, (list, tuple)) and list(given) != list(out_channels):
            raise ConfigError(
                f'neck.in_channels={given}, but the outputs of the encoder have {list(out_channels)} '
                'channels; leave in_channels out to have it inferred, or change the out_indices of the '
                'encoder'
            )
        return neck
    kind = neck.get('type')
    cls = MODELS.get(kind) if isinstance(kind, str) else kind
    parameter = None if cls is None else inspect.signature(cls).parameters.get('in_channels')
    if parameter is None or parameter.default is not inspect.Parameter.empty:
        return neck
    return {**neck, 'in_channels': list(out_channels)}


@torch.no_grad()
def neck_out_channels(neck: nn.Module, shapes: Sequence[Sequence[int]]) -> tuple[int, ...]:
    """Channels of each feature map that a neck returns.

    Args:
        neck: the neck.
        shapes: the encoder's outputs (C, h, w) for a tiny image.
    """
    training = neck.training
    neck.eval()  # a batch of one has no statistics
    outputs = neck(tuple(torch.zeros(1, *shape) for shape in shapes))
    neck.train(training)
    return tuple(output.shape[1] for output in outputs)
