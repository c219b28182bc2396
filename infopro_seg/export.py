"""From an InfoPro checkpoint to a stock one, of mmseg or mmpretrain, as `tools/export.py` does it."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.model import revert_sync_batchnorm
from mmengine.registry import init_default_scope
from mmseg.registry import MODELS

from infopro_seg.checkpoints import config_of, read_checkpoint
from infopro_seg.config_edits import edited, without_pretraining
from infopro_seg.errors import CheckpointError, ConfigError, UserError
from infopro_seg.evaluation.metainfo import trained_metainfo
from infopro_seg.export_graph import export_onnx, export_program, metadata, require_onnx
from infopro_seg.export_outputs import require_replaceable_export
from infopro_seg.files import whole_file
from infopro_seg.hooks.checkpoint_guard import LOCAL_HEADS, require_fit
from infopro_seg.models.channels import neck_config
from infopro_seg.models.local_training import LocalTraining
from infopro_seg.models.segmentor import LocalSegmentor
from infopro_seg.tasks import is_classifier

STOCK_TYPES = {
    'InfoProEncoderDecoder': 'EncoderDecoder',
    'InfoProCascadeEncoderDecoder': 'CascadeEncoderDecoder',
    'InfoProImageClassifier': 'mmpretrain.ImageClassifier',
    'LeanCrossEntropyLoss': 'CrossEntropyLoss',
    'LoadImage': 'LoadImageFromFile',
    'LoadLabels': 'LoadAnnotations',
    'ClassIoUMetric': 'IoUMetric',
    'ResumableIterBasedTrainLoop': 'IterBasedTrainLoop',
    'ModuleParallelTrainLoop': 'IterBasedTrainLoop',
    'CPUAmpOptimWrapper': 'OptimWrapper',
}
OWN_ARGUMENTS = {
    'LoadLabels': ('num_classes', 'drawn_on'),
    'ResumableIterBasedTrainLoop': ('seed_per_module',),
    'ModuleParallelTrainLoop': ('seed_per_module',),
}
OWN_SETTINGS = ('custom_imports', 'custom_hooks', 'model_wrapper_cfg', 'local_head', 'data_howto')
OF_TRAININGS = ('stages', 'weights_before', 'fit', 'model_parallel')


# types of this package that have no stock one, and the modules that configs import for them
OWN_MODULES = {
    'CifarResNet': 'infopro_seg.classification.cifar_resnet',
    'EncodedImages': 'infopro_seg.classification.encoded_images',
}
FORMATS = {'mmseg': '.pth', 'mmpretrain': '.pth', 'onnx': '.onnx', 'pt2': '.pt2'}
BESIDE = {'mmseg': '.py', 'mmpretrain': '.py', 'onnx': '.json', 'pt2': '.json'}


def export(
    checkpoint: str | Path, out: str | Path, config: Config | None = None, format: str | None = None
) -> Path:
    """Writes a trained network without anything of this package.

    `mmseg` is a checkpoint and, beside it, a config that stock mmseg loads strictly, `mmpretrain` the same of
    a classifier; `onnx` and `pt2` are graphs of segmentors, with a `.json` of classes, palette, mean and std
    beside them, see :mod:`infopro_seg.export_graph`. All are checked against the network of the checkpoint.

    Args:
        checkpoint: a checkpoint of a training with InfoPro.
        out: a folder, for a file named `model`, or a file with the suffix of the format.
        config: the config; by default the one inside the checkpoint.
        format: `mmseg`, `mmpretrain`, `onnx` or `pt2` (a `torch.export` program); by default the stock
            library's.

    Returns:
        The path of the config, or of the graph.

    Raises:
        UserError: the checkpoint is no InfoPro checkpoint, `out` has another suffix, is the checkpoint or
            cannot be written, or the network cannot be exported in that format.
    """
    out = Path(out)
    suffix = FORMATS[format or 'mmseg']
    if not out.suffix or out.is_dir():
        out = out / f'model{suffix}'
    if out.suffix != suffix:
        raise UserError(
            f'--out {out} does not end in {suffix}; give a {suffix} file, or a folder'
            f'{"; the config is written beside it as .py" if suffix == ".pth" else ""}'
        )
    require_replaceable_export(out, Path(checkpoint), BESIDE[format or 'mmseg'])
    if format == 'onnx':
        require_onnx()
    content = read_checkpoint(checkpoint)
    config = config or config_of(content, checkpoint)
    format = _format_of(config, format)
    config = copy.deepcopy(config)
    config.model.pop('channels_last', None)  # the layout of its training, which stock networks do not know
    init_default_scope('mmseg')
    model: Any = revert_sync_batchnorm(MODELS.build(without_pretraining(config.model)))
    trained_here = isinstance(model, LocalTraining)
    if not trained_here:
        raise CheckpointError(
            f'{checkpoint} holds a model of type {type(model).__name__}, which {format} loads as it is; only '
            'checkpoints of an InfoPro network can be exported'
        )
    weights = content.get('state_dict', {})
    require_fit(weights, model.state_dict(), str(checkpoint))
    model.load_state_dict(weights)
    stock_config = to_stock_config(config, model)
    stock = revert_sync_batchnorm(MODELS.build(without_pretraining(stock_config.model)))
    state_dict = {key: value for key, value in weights.items() if not key.startswith(LOCAL_HEADS)}
    stock.load_state_dict(state_dict, strict=True)
    _require_same_logits(model, stock, stock_config)
    dataset_meta = trained_metainfo(content, config)
    if format in ('onnx', 'pt2'):
        write = export_onnx if format == 'onnx' else export_program
        write(stock, out, _size(stock_config), metadata(dataset_meta, stock_config))
        return out
    meta = {'dataset_meta': dataset_meta, 'cfg': stock_config.pretty_text}
    with whole_file(out) as partial:
        torch.save({'state_dict': state_dict, 'meta': meta}, partial)
    with whole_file(out.with_suffix('.py')) as partial:
        partial.write_text(stock_config.pretty_text, encoding='utf-8')
    return out.with_suffix('.py')


def _format_of(config: Config, format: str | None) -> str:
    """The format asked for, or that of the stock library; refuses one that the network does not have."""
    stock = 'mmpretrain' if is_classifier(config) else 'mmseg'
    allowed = [stock] if is_classifier(config) else [stock, 'onnx', 'pt2']
    if format is not None and format not in allowed:
        raise ConfigError(
            f'--format {format}: a checkpoint of {config.model.type} is exported as {" or ".join(allowed)}'
        )
    return format or stock


def to_stock_config(config: Config, model: Any) -> Config:
    """The config without anything of this package: encoder as backbone, channels written out.

    What this package alone has, `CifarResNet` and `EncodedImages`, stays, and the config imports it.

    Args:
        config: the config of a training.
        model: its model.
    """
    content = to_stock(config.to_dict())
    stock = content['model']
    stock['backbone'] = stock['backbone']['encoder']
    imports = _imports(content.get('custom_imports'))
    if is_classifier(config):
        own = [module for kind, module in OWN_MODULES.items() if f"'{kind}'" in str(content)]
        imports += ['mmpretrain.models', 'mmpretrain.datasets', 'mmpretrain.evaluation', *own]
        stock['head']['in_channels'] = model.head.in_channels
        stock['data_preprocessor'] = {'type': 'mmpretrain.ClsDataPreprocessor', **stock['data_preprocessor']}
    elif stock['backbone']['type'].startswith('mmpretrain.'):
        imports.append('mmpretrain.models')
    for name in (*OWN_SETTINGS, *OF_TRAININGS):
        content.pop(name, None)
    if imports:
        content['custom_imports'] = {'imports': imports, 'allow_failed_imports': False}
    if model.with_neck and not is_classifier(config):
        stock['neck'] = neck_config(stock['neck'], model.backbone.out_channels)
    for name in ('decode_head', 'auxiliary_head'):
        if stock.get(name) is not None:
            stock[name] = model.with_in_channels(stock[name], name)
    wrapper = content.get('optim_wrapper') or {}
    if wrapper.get('constructor') == 'LocalLearningRateDecayConstructor':
        wrapper['constructor'] = 'LearningRateDecayOptimizerConstructor'
    (wrapper.get('clip_grad') or {}).pop('per_module', None)
    return Config(content)


def _imports(custom: Any) -> list[str]:
    """The modules that a config imports for its own encoders and data sets, without this package's."""
    names = (custom or {}).get('imports') or []
    names = [names] if isinstance(names, str) else names
    return [name for name in names if name.partition('.')[0] != 'infopro_seg']


def to_stock(node: Any) -> Any:
    """Replaces this package's types by mmseg's, at any nesting."""
    return edited(node, _to_stock)


def _to_stock(node: Any) -> Any:
    if isinstance(node, dict):
        kind = node.get('type')
        if isinstance(kind, str):
            for key in OWN_ARGUMENTS.get(kind, ()):
                node.pop(key, None)
            node['type'] = STOCK_TYPES.get(kind, kind)
        if node.get('type') == 'CrossEntropyLoss' and node.get('class_weight') is not None:
            node.pop('avg_non_ignore', None)  # implied by the weights, and mmseg fails with both
    return node


@torch.no_grad()
def _require_same_logits(model: Any, stock: Any, config: Config) -> None:
    inputs = torch.randn(1, 3, *_size(config), generator=torch.Generator().manual_seed(0))
    if isinstance(model, LocalSegmentor) and isinstance(stock.eval().backbone(inputs), torch.Tensor):
        raise UserError(  # MobileNetV2 with one of out_indices
            f'stock mmseg cannot run this network: its {type(stock.backbone).__name__} gives a single output '
            'bare, where its heads expect a list; train with another index in encoder.out_indices, which no '
            'head has to read'
        )
    expected, given = (_logits(network.eval(), inputs) for network in (model, stock))
    if not torch.equal(expected, given):
        difference = (expected - given).abs().max()
        raise CheckpointError(
            f'the stock network gives other logits (largest difference {difference:.3g}); nothing was '
            'written. Please report this with the config'
        )


def _logits(network: Any, inputs: torch.Tensor) -> torch.Tensor:
    """The logits of a segmentor at the size of the image, or those of a classifier."""
    size = inputs.shape[2:]
    meta = [{'img_shape': size, 'pad_shape': size, 'ori_shape': size}]
    is_segmentor = hasattr(network, 'encode_decode')
    logits: torch.Tensor = network.encode_decode(inputs, meta) if is_segmentor else network(inputs)
    return logits


def _size(config: Config) -> tuple[int, int]:
    """A size of images to try a network on: a training crop, in multiples of 32 and not too large."""
    size = config.model.get('data_preprocessor', {}).get('size') or (64, 64)
    height, width = (min(max(64, side // 32 * 32), 256) for side in size)
    return height, width
