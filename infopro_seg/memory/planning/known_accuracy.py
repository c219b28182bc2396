"""What is known about the accuracy of a recipe; nothing is guessed."""

from __future__ import annotations

from typing import Any

from infopro_seg.config_edits import backbone_of
from infopro_seg.memory.search.recipes import Recipe
from infopro_seg.memory.tracing.training_setup import TrainingSetup
from infopro_seg.models.local_heads.local_head import head_configs

PAPER_CUTS = ('layer3.12',)
PAPER_NETWORK = {'encoder': ('ResNetV1c', 101), 'decode_head': ('ASPPHead', 19)}
PAPER_CROP, PAPER_BATCH = (512, 1024), 8  # images of all GPUs together
# by lambda_recon (None without a decoder), and lambda_task, convolutions and width of the auxiliary head
PAPER_HEADS = {
    (1.5, 1.0, 1, 512): 'E2E + 0.25 mIoU (paper)',  # InfoPro: 79.37, end to end: 79.12
    (None, 1.0, 2, 512): 'E2E - 0.97 mIoU (paper)',  # DGL: 78.15
}


def known_accuracy(cfg: Any, recipe: Recipe, setup: TrainingSetup) -> str | None:
    """The accuracy of a recipe compared with end-to-end training; None if nobody has measured it.

    Exact recipes compute the same gradients as end-to-end training, so they train the same network. Of the
    local ones, the paper's have been measured (table 5): DeepLabV3-R101 on Cityscapes val, K = 2, batch 8,
    512x1024 crops, 40k iterations, single scale. Those of docs/results.md are left out: they hold for few
    iterations of small networks.

    Args:
        cfg: the config.
        recipe: the recipe.
        setup: the batch of a GPU, and the crop.
    """
    if recipe.gradients == 'exact':
        return 'as E2E'
    if recipe.gradients != 'local' or recipe.cuts != PAPER_CUTS or not _is_papers(cfg, setup):
        return None
    return PAPER_HEADS.get(_head(backbone_of(cfg)))


def _is_papers(cfg: Any, setup: TrainingSetup) -> bool:
    """Whether network, data, crop and batch are those of the paper."""
    model, data = cfg.get('model', cfg), (cfg.get('train_dataloader') or {}).get('dataset', {})
    backbone, head = model['backbone'], model.get('decode_head')
    encoder = backbone['encoder']
    found = {
        'encoder': (encoder.get('type'), encoder.get('depth')),
        'decode_head': (head.get('type'), head.get('num_classes')) if isinstance(head, dict) else None,
    }
    return (
        found == PAPER_NETWORK
        and 'cityscapes' in str(data.get('data_root')).lower()  # drawn streets have the same classes
        and setup.crop == PAPER_CROP
        and PAPER_BATCH % setup.batch == 0
        and not (cfg.get('stages') or backbone.get('overlap') or backbone.get('momentum_block'))
    )


def _head(backbone: Any) -> tuple[Any, ...]:
    """What tells local heads apart, as in `PAPER_HEADS`; empty if it is none of the paper's kind."""
    head = backbone.get('local_head')
    if isinstance(head, dict):
        [head] = head_configs(head, 1)
    auxiliary = head.get('auxiliary_head') if isinstance(head, dict) else None
    if not isinstance(auxiliary, dict) or auxiliary.get('type') != 'FCNHead' or head.get('stride', 1) != 1:
        return ()
    task = auxiliary.get('loss_decode') or {}
    decoder, weight = head.get('decoder'), None
    if decoder is not None:
        if decoder.get('stride', 1) != 1:
            return ()
        weight = (decoder.get('loss_recon') or {}).get('loss_weight', 1.0)
    task_weight = task.get('loss_weight', 1.0) if isinstance(task, dict) else None
    return weight, task_weight, auxiliary.get('num_convs'), auxiliary.get('channels')
