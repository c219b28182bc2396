"""From an InfoPro checkpoint to a stock mmseg one, as `tools/export.py` does it."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.model import revert_sync_batchnorm
from mmengine.registry import init_default_scope
from mmseg.registry import MODELS

import infopro_seg.register  # noqa: F401
from infopro_seg.checkpoints import config_of, read_checkpoint
from infopro_seg.errors import CheckpointError, UserError
from infopro_seg.hooks.checkpoint_guard import LOCAL_HEADS, require_fit
from infopro_seg.inference import without_pretraining
from infopro_seg.models import InfoProEncoderDecoder
from infopro_seg.models.channels import infer_in_channels

STOCK_TYPES = {
    'InfoProEncoderDecoder': 'EncoderDecoder',
    'LoadImage': 'LoadImageFromFile',
    'LoadLabels': 'LoadAnnotations',
    'ClassIoUMetric': 'IoUMetric',
    'ResumableIterBasedTrainLoop': 'IterBasedTrainLoop',
    'CPUAmpOptimWrapper': 'OptimWrapper',
}
OWN_ARGUMENTS = {'LoadLabels': ('num_classes',), 'ClassIoUMetric': ('label_dir',)}
OWN_SETTINGS = ('custom_imports', 'custom_hooks', 'model_wrapper_cfg', 'local_head', 'data_howto')


def export(checkpoint: str | Path, out: str | Path, config: Config | None = None) -> Path:
    """Writes a checkpoint and, beside it, a config that stock mmseg loads strictly.

    The exported network is checked before anything is written: stock mmseg must give the same logits.

    Args:
        checkpoint: a checkpoint of a training with InfoPro.
        out: the `.pth` to write; the config goes to the same name with `.py`.
        config: the config; by default the one inside the checkpoint.

    Returns:
        The path of the config written.

    Raises:
        UserError: the checkpoint is no InfoPro checkpoint, or `out` is no `.pth` path or the checkpoint.
    """
    out = Path(out)
    if out.suffix != '.pth':
        raise UserError(f'--out {out} does not end in .pth; the config is written beside it as .py')
    if out.resolve() == Path(checkpoint).resolve():
        raise UserError(f'--out {out} is the checkpoint itself, which the export would replace; name another')
    content = read_checkpoint(checkpoint)
    config = config or config_of(content, checkpoint)
    init_default_scope('mmseg')
    model = revert_sync_batchnorm(MODELS.build(without_pretraining(config.model)))
    if not isinstance(model, InfoProEncoderDecoder):
        raise CheckpointError(
            f'{checkpoint} is of a {type(model).__name__}, which stock mmseg loads as it is; only '
            'checkpoints of InfoProEncoderDecoder need an export'
        )
    weights = content.get('state_dict', {})
    require_fit(weights, model.state_dict(), str(checkpoint))
    model.load_state_dict(weights)
    stock_config = to_stock_config(config, model)
    stock = revert_sync_batchnorm(MODELS.build(without_pretraining(stock_config.model)))
    state_dict = {key: value for key, value in weights.items() if not key.startswith(LOCAL_HEADS)}
    stock.load_state_dict(state_dict, strict=True)
    _require_same_logits(model, stock, stock_config)
    out.parent.mkdir(parents=True, exist_ok=True)
    meta = {'dataset_meta': content.get('meta', {}).get('dataset_meta'), 'cfg': stock_config.pretty_text}
    torch.save({'state_dict': state_dict, 'meta': meta}, out)
    stock_config.dump(out.with_suffix('.py'))
    return out.with_suffix('.py')


def to_stock_config(config: Config, model: InfoProEncoderDecoder) -> Config:
    """The config without anything of this package: encoder as backbone, channels written out."""
    content = to_stock(config.to_dict())
    for name in OWN_SETTINGS:
        content.pop(name, None)
    stock = content['model']
    stock['backbone'] = stock['backbone']['encoder']
    heads = model.backbone.out_channels
    if not model.with_neck:
        stock['decode_head'] = infer_in_channels(stock['decode_head'], 'decode_head', heads)
        auxiliary = stock.get('auxiliary_head')
        if isinstance(auxiliary, dict):
            stock['auxiliary_head'] = infer_in_channels(auxiliary, 'auxiliary_head', heads)
        elif auxiliary is not None:
            stock['auxiliary_head'] = [infer_in_channels(h, 'auxiliary_head', heads) for h in auxiliary]
    return Config(content)


def to_stock(node: Any) -> Any:
    """Replaces this package's types by mmseg's, at any nesting."""
    if isinstance(node, dict):
        kind = node.get('type')
        dropped = OWN_ARGUMENTS.get(kind, ()) if isinstance(kind, str) else ()
        out = {key: to_stock(value) for key, value in node.items() if key not in dropped}
        if isinstance(kind, str):
            out['type'] = STOCK_TYPES.get(kind, kind)
        return out
    if isinstance(node, (list, tuple)):
        return type(node)(to_stock(item) for item in node)
    return copy.copy(node)


@torch.no_grad()
def _require_same_logits(model: Any, stock: Any, config: Config) -> None:
    size = config.model.get('data_preprocessor', {}).get('size') or (64, 64)
    inputs = torch.randn(1, 3, *(min(side, 256) for side in size), generator=torch.Generator().manual_seed(0))
    expected, given = model.eval()(inputs), stock.eval()(inputs)
    if not torch.equal(expected, given):
        raise CheckpointError(
            f'stock mmseg gives other logits (largest difference {(expected - given).abs().max():.3g}); '
            'nothing was written. Please report this with the config'
        )
