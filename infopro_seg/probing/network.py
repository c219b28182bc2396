"""The network to probe: an encoder with the weights of a checkpoint, which never change."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.model import revert_sync_batchnorm
from mmengine.registry import init_default_scope
from mmseg.registry import MODELS
from torch import Tensor

from infopro_seg.checkpoints import config_of, read_checkpoint
from infopro_seg.config_edits import encoder_of, without_pretraining
from infopro_seg.errors import CheckpointError, ConfigError, UserError
from infopro_seg.hooks.checkpoint_guard import LOCAL_HEADS, require_fit
from infopro_seg.models.blocks import iter_blocks, smallest_image
from infopro_seg.models.encoder import build_encoder, without_weights
from infopro_seg.tasks import is_classifier

BACKBONE = 'backbone.'
# options of the preprocessor that belong to the weights; its sizes belong to the data
NORMALISATION = ('mean', 'std', 'bgr_to_rgb', 'rgb_to_bgr', 'to_rgb')
EVERY = 'every:'


class FrozenEncoder:
    """An encoder in test mode, read block by block, without gradients.

    Encoder, cuts and normalisation come from the config inside the checkpoint, if it has one, because methods
    differ in them. Heads and local heads are not built.

    Args:
        config: the config whose data is used; the checkpoint's weights must fit its encoder.
        checkpoint: path of the checkpoint, with or without local heads.
        device: the device to run on.

    Raises:
        CheckpointError: the checkpoint is missing, or its weights do not fit the encoder.
        ConfigError: the encoder or the data preprocessor is missing from the config or cannot be built.
    """

    def __init__(self, config: Config, checkpoint: str | Path, device: str = 'cpu') -> None:
        init_default_scope(config.get('default_scope', 'mmseg'))
        content = read_checkpoint(checkpoint)
        own = config_of(content, checkpoint) if content.get('meta', {}).get('cfg') else config
        weights = _encoder_weights(content, checkpoint)
        require_fit(weights, _build(encoder_of(config)[0]).state_dict(), str(checkpoint))
        self.config, cuts = encoder_of(own)
        encoder = _build(self.config)
        require_fit(weights, encoder.state_dict(), str(checkpoint))
        encoder.load_state_dict(weights, strict=False)  # stock files may lack num_batches_tracked
        encoder.requires_grad_(False)
        encoder.eval()
        self.device = device
        self.encoder: Any = encoder.to(device)
        self.blocks = list(iter_blocks(self.encoder))
        self.names = [block.name for block in self.blocks]
        self.cuts = tuple(cut for cut in cuts if cut in self.names)
        self.data_preprocessor: Any = MODELS.build(_preprocessor(config, own)).to(device)
        self.fingerprint = _fingerprint(weights)

    def prepare(self, data: dict[str, Any], training: bool) -> tuple[Tensor, Sequence[Any]]:
        """Normalised images (N, 3, H, W) and their samples from a batch of a data loader."""
        prepared = self.data_preprocessor(data, training)
        return prepared['inputs'], prepared['data_samples']

    def features(self, inputs: Tensor, chosen: Collection[str]) -> Iterator[tuple[str, Tensor]]:
        """Yields name and feature map (N, C, h, w) of each chosen block, one at a time to save memory.

        Args:
            inputs: normalised images, (N, 3, H, W).
            chosen: names of blocks; later blocks do not run.
        """
        last = max(self.names.index(name) for name in chosen)
        state: Any = inputs
        for block in self.blocks[: last + 1]:
            with torch.no_grad():
                state = block.forward(state)
                feature = block.feature(state) if block.name in chosen else None
            if feature is not None:
                yield block.name, feature

    def channels(self, chosen: Collection[str]) -> dict[str, int]:
        """The channels of each chosen block's feature map."""
        inputs = torch.zeros(1, 3, *smallest_image(self.encoder), device=self.device)
        return {name: feature.shape[1] for name, feature in self.features(inputs, chosen)}


def choose_blocks(names: Sequence[str], wanted: Sequence[str] = ()) -> list[str]:
    """The blocks to probe, in the order of the network.

    Args:
        names: all blocks of the encoder.
        wanted: names, or `every:N` for every N-th block, counted back from the last one; empty for all.

    Raises:
        UserError: a name is unknown, or N is not a whole number of 1 or more.
    """
    chosen = set() if wanted else set(names)
    for item in wanted:
        if item.startswith(EVERY):
            step = item.removeprefix(EVERY)
            if not step.isdecimal() or int(step) < 1:
                raise UserError(
                    f'--blocks {item}: {step!r} is not a whole number of 1 or more; write e.g. {EVERY}2'
                )
            chosen.update(names[:: -int(step)])
        elif item in names:
            chosen.add(item)
        else:
            raise UserError(
                f'--blocks {item}: the encoder has no such block; choose from {", ".join(names)}, or {EVERY}N'
            )
    return [name for name in names if name in chosen]


def _build(config: dict[str, Any]) -> Any:
    built = build_encoder(without_weights(without_pretraining(config)))
    return revert_sync_batchnorm(built)


def _encoder_weights(content: dict[str, Any], name: str | Path) -> dict[str, Tensor]:
    state_dict = content.get('state_dict', content)
    weights = {
        key.removeprefix(BACKBONE): value
        for key, value in state_dict.items()
        if key.startswith(BACKBONE) and not key.startswith(LOCAL_HEADS)
    }
    if not weights:
        raise CheckpointError(
            f'{name} has no weights of an encoder ({BACKBONE}*); give a checkpoint of a whole network, as '
            'training and tools/export.py write it'
        )
    return weights


def _preprocessor(config: Config, own: Config) -> dict[str, Any]:
    given, trained = (copy.deepcopy(c.model.get('data_preprocessor')) for c in (config, own))
    if given is None or trained is None:
        raise ConfigError(
            'the config has no model.data_preprocessor, which normalises images; write one, see '
            'configs/_base_/models'
        )
    kept = {key: value for key, value in given.items() if key not in NORMALISATION}
    kind = {'type': 'mmpretrain.ClsDataPreprocessor'} if is_classifier(config) else {}
    return {**kind, **kept, **{key: trained[key] for key in NORMALISATION if key in trained}}


def _fingerprint(weights: dict[str, Tensor]) -> str:
    digest = hashlib.sha256()
    for key in sorted(weights):
        digest.update(key.encode())
        digest.update(weights[key].contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()[:16]
