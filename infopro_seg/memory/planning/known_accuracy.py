"""What is known about the accuracy of a recipe; nothing is guessed."""

from __future__ import annotations

from typing import Any

from infopro_seg.memory.search.recipes import Recipe

PAPER_CUTS = ('layer3.12',)
PAPER_NETWORK = {'encoder': ('ResNetV1c', 101), 'decode_head': ('ASPPHead', 19)}


def known_accuracy(cfg: Any, recipe: Recipe) -> str | None:
    """The accuracy of a recipe compared with end-to-end training; None if nobody has measured it.

    Exact recipes compute the same gradients as end-to-end training, so they train the same network. Of the
    local ones, the paper's has been measured (table 5): DeepLabV3-R101 on Cityscapes val, K = 2, batch 8,
    512x1024 crops, 40k iterations, single scale: 79.37 mIoU, 79.12 end to end. Those of docs/results.md are
    left out: they hold for few iterations of small networks.

    Args:
        cfg: the config.
        recipe: the recipe.
    """
    if recipe.gradients == 'exact':
        return 'as E2E'
    if recipe.gradients == 'local' and recipe.cuts == PAPER_CUTS and _is_paper_network(cfg.get('model', cfg)):
        return 'E2E + 0.25 mIoU (paper)'
    return None


def _is_paper_network(model: Any) -> bool:
    encoder, head = model['backbone']['encoder'], model.get('decode_head', {})
    if not isinstance(head, dict):
        return False
    local = model['backbone'].get('local_head') or {}
    decoder = local.get('decoder') or {} if isinstance(local, dict) else {}
    found = {
        'encoder': (encoder.get('type'), encoder.get('depth')),
        'decode_head': (head.get('type'), head.get('num_classes')),
    }
    return found == PAPER_NETWORK and decoder.get('stride', 1) == 1
