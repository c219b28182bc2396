"""Fills the `in_channels` of heads from what the encoder gives, so that encoders can be swapped."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from infopro_seg.errors import ConfigError


def infer_in_channels(head: dict[str, Any], name: str, out_channels: Sequence[int]) -> dict[str, Any]:
    """Returns a head's config with `in_channels` (and `c1_in_channels`), inferred where they are left out.

    Args:
        head: config of an mmseg head.
        name: what the config calls the head, for error messages.
        out_channels: channels of each feature map that heads can read.

    Raises:
        ConfigError: `in_index` names no feature map, or `in_channels` is given and differs.
    """
    index = head.get('in_index', -1)
    try:
        found = [out_channels[i] for i in index] if isinstance(index, (list, tuple)) else out_channels[index]
    except IndexError as error:
        raise ConfigError(
            f'{name}.in_index={index}, but the encoder returns {len(out_channels)} feature maps; '
            f'choose from 0 to {len(out_channels) - 1}, or extend the out_indices of the encoder'
        ) from error
    given = head.get('in_channels', found)
    if (list(given) if isinstance(given, (list, tuple)) else given) != found:
        raise ConfigError(
            f'{name}.in_channels={given}, but the feature maps {index} of the encoder have {found} '
            'channels; leave in_channels out to have it inferred'
        )
    if 'c1_channels' in head:  # DeepLabV3+ reads the first feature map besides its in_index
        head = {'c1_in_channels': out_channels[0], **head}
    return {**head, 'in_channels': found}
