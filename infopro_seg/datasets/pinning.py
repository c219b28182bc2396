"""Puts labels in pinned memory, like images, so that copying a batch to the GPU does not block."""

from __future__ import annotations

from typing import Any

from mmengine.structures import BaseDataElement


def _pin_memory(element: Any) -> Any:
    pinned = element.new()
    for key, value in element.items():
        if hasattr(value, 'pin_memory'):
            pinned.set_data({key: value.pin_memory()})
    return pinned


def register_pinning() -> None:
    """Gives mmengine's data elements the method that torch's data loader calls to pin them."""
    if not hasattr(BaseDataElement, 'pin_memory'):
        BaseDataElement.pin_memory = _pin_memory
