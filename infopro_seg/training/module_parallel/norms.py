"""Synchronised batch norms, among the processes that train the same local module."""

from __future__ import annotations

from typing import Any

from mmengine.model import convert_sync_batchnorm, revert_sync_batchnorm
from torch import nn

from infopro_seg.errors import ConfigError


def synchronise_norms(model: Any, convert: bool, replicas: int, group: Any) -> Any:
    """Makes SyncBN layers exchange statistics within a group; a single replica exchanges nothing.

    Args:
        model: the network.
        convert: whether plain batch norms become SyncBN, as `sync_bn='torch'` of a config asks.
        replicas: number of processes that train the same module.
        group: these processes.

    Returns:
        The network; layers are replaced in place.

    Raises:
        ConfigError: a layer is mmcv's SyncBN, which would exchange with other modules' processes.
    """
    if replicas == 1:
        return revert_sync_batchnorm(model)
    if convert:
        model = convert_sync_batchnorm(model, 'torch')
    for name, layer in model.named_modules():
        if isinstance(layer, nn.SyncBatchNorm):
            layer.process_group = group
        elif type(layer).__name__ == 'SyncBatchNorm':
            raise ConfigError(
                f"{name} is an MMSyncBN; module-parallel training synchronises torch's SyncBN only: write "
                "norm_cfg=dict(type='SyncBN')"
            )
    return model
