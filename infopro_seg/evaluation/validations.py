"""Keeps every validation of a run in its checkpoints."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from mmengine.logging import MessageHub

VALIDATIONS = 'all_validations'  # in the message hub, where a key in `val...` would be logged as a metric


def add_validation(hub: MessageHub, iteration: int, metrics: Mapping[str, Any]) -> None:
    """Keeps the metrics of a validation; one that is repeated after a resume replaces the first.

    Args:
        hub: the run's message hub.
        iteration: number of iterations before the validation.
        metrics: the metrics from the evaluator.
    """
    known = hub.get_info(VALIDATIONS, {})
    hub.update_info(VALIDATIONS, {**known, iteration: numbers(metrics)})


def numbers(metrics: Mapping[str, Any]) -> dict[str, float]:
    """The metrics that are numbers; the user's own metrics may be anything."""
    return {name: plain_number(value) for name, value in metrics.items() if _is_number(value)}


def validations(hub: MessageHub) -> dict[str, dict[str, float]]:
    """The metrics of each validation, by iteration, in order, in a form for JSON."""
    return _ordered(hub.get_info(VALIDATIONS, {}))


def validations_of(checkpoint: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    """The validations in a checkpoint: those before it was saved."""
    hub = checkpoint.get('message_hub') or {}
    found = hub.get('runtime_info', {}) if isinstance(hub, Mapping) else {}
    return _ordered(found.get(VALIDATIONS, {}))


def plain_number(value: Any) -> float:
    """Converts a number without noise: 49.18 in float32 is 49.18, not 49.18000030517578."""
    return float(str(value)) if isinstance(value, np.floating) else float(value)


def _ordered(found: Mapping[int, dict[str, float]]) -> dict[str, dict[str, float]]:
    return {str(step): metrics for step, metrics in sorted(found.items())}


def _is_number(value: Any) -> bool:
    try:
        float(value)
    except (TypeError, ValueError):
        return False
    return True
