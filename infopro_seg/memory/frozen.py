"""Training end to end with the first stages of the encoder frozen."""

from __future__ import annotations

import inspect
from typing import Any

from mmengine.registry import DefaultScope
from mmseg.registry import MODELS

STAGES = range(1, 4)


def frozen_stages(encoder: dict[str, Any]) -> list[int]:
    """How many stages an encoder can freeze beyond what its config freezes; none where it has no such option.

    Args:
        encoder: its config.
    """
    with DefaultScope.overwrite_default_scope('mmseg'):
        kind = MODELS.get(encoder['type']) if isinstance(encoder.get('type'), str) else encoder.get('type')
    if not inspect.isclass(kind):
        return []
    options = [inspect.signature(cls).parameters for cls in kind.__mro__ if cls is not object]
    if not any('frozen_stages' in parameters for parameters in options):
        return []
    own = encoder.get('frozen_stages')
    return [count for count in STAGES if own is None or count > own]
