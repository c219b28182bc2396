"""The device that a command works on."""

from __future__ import annotations

import torch

from infopro_seg.errors import UserError


def choose_device(given: str | None) -> str:
    """The device: as given, else the GPU if there is one.

    Raises:
        UserError: there is no such device.
    """
    device = given or ('cuda' if torch.cuda.is_available() else 'cpu')
    try:
        torch.empty(0, device=device).cpu()  # which the device 'meta' has no values for
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f'--device {device} cannot be used ({reason}); use cpu or cuda') from error
    return device
