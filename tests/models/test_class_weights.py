import pytest
import torch
from mmseg.models.losses import CrossEntropyLoss
from torch import nn
from torch.nn.functional import cross_entropy

from infopro_seg.export import to_stock
from infopro_seg.models.losses.class_weights import mend_class_weights
from tests.stand_ins import CLASSES, build, head_config, local_head_config, model_config

WEIGHTS = [0.5, 2.0, 1.0, 3.0, 0.25]


def weighted(**more):
    return {'type': 'CrossEntropyLoss', 'class_weight': WEIGHTS, 'avg_non_ignore': True, **more}


def test_every_cross_entropy_of_a_model_takes_class_weights():
    """Local heads, decode head and auxiliary head; the mean is that of torch, over labels that count."""
    local = local_head_config()
    local['auxiliary_head']['loss_decode'] = weighted()
    model = build(
        model_config(
            local_head=local,
            decode_head=head_config(in_index=3, loss_decode=weighted()),
            auxiliary_head=head_config(in_index=2, loss_decode=weighted(loss_weight=0.4)),
        )
    )
    losses = [module for module in model.modules() if isinstance(module, CrossEntropyLoss)]
    assert len(losses) == 4
    logits = torch.randn(2, CLASSES, 4, 6, dtype=torch.float64)
    labels = torch.randint(0, CLASSES, (2, 4, 6))
    labels[:, :2] = 255
    expected = cross_entropy(logits, labels, logits.new_tensor(WEIGHTS), ignore_index=255)
    for loss in losses:
        actual = loss(logits, labels, ignore_index=255) / loss.loss_weight
        torch.testing.assert_close(actual, expected, rtol=1e-6, atol=0)


def test_what_mmseg_does_rightly_is_left_alone():
    plain, sigmoid = (
        CrossEntropyLoss(avg_non_ignore=True),
        CrossEntropyLoss(use_sigmoid=True, class_weight=WEIGHTS, avg_non_ignore=True),
    )
    mend_class_weights(nn.ModuleList([plain, sigmoid]))
    assert plain.avg_non_ignore
    assert sigmoid.avg_non_ignore


@pytest.mark.parametrize('kind', ['CrossEntropyLoss', 'LeanCrossEntropyLoss'])
def test_an_exported_config_trains_in_mmseg_with_its_class_weights(kind):
    assert to_stock({'loss_decode': weighted(type=kind)}) == {
        'loss_decode': {'type': 'CrossEntropyLoss', 'class_weight': WEIGHTS}
    }
    assert to_stock({'type': kind, 'avg_non_ignore': True})['avg_non_ignore'] is True
