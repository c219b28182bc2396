"""The control of the suite camvid: the first local module as it was pretrained, the rest end to end."""

import pytest
from mmengine.optim import build_optim_wrapper
from mmengine.registry import DefaultScope
from mmseg.registry import MODELS

from infopro_seg.comparison.suite import Run, run_config
from infopro_seg.config_files import load_config
from infopro_seg.memory import trace_step
from tests.models.encoder_list import is_missing
from tests.runs import ROOT
from tests.stand_ins import assert_same, make_batch, summed

CROP = (32, 64)


@pytest.mark.skipif(is_missing('timm'), reason='timm is not installed')
def test_the_prefix_stays_and_the_rest_learns_as_end_to_end():
    suite = load_config(ROOT / 'configs' / 'compare' / 'camvid.py')
    suite.model.backbone.encoder.init_cfg = None
    suite.model.decode_head.dropout_ratio = suite.model.auxiliary_head.dropout_ratio = 0.0
    frozen, whole = (run_config(suite, Run(method, 1, 0)) for method in ('frozen_prefix', 'e2e'))
    first = run_config(suite, Run('infopro', 4, 0)).model.backbone.cuts[0]
    assert list(frozen.model.backbone.cuts) == [first]
    with DefaultScope.overwrite_default_scope('mmseg'):
        ours, theirs = (MODELS.build(config.model).train() for config in (frozen, whole))
    theirs.load_state_dict({k: v for k, v in ours.state_dict().items() if 'local_heads' not in k})
    early = ours.backbone.local_modules()[0]
    for block in theirs.backbone.local_modules()[0][: len(early)]:
        for module in block.modules:
            module.eval()  # its norms keep the statistics of the pretraining
    batch = make_batch(size=CROP)
    summed(theirs.loss(**theirs.data_preprocessor(batch, True))).backward()
    expected = {name: parameter.grad for name, parameter in theirs.named_parameters()}
    kept, before = state_of(early), {name: p.detach().clone() for name, p in ours.named_parameters()}
    wrapper = build_optim_wrapper(ours, {'type': 'OptimWrapper', 'optimizer': {'type': 'SGD', 'lr': 1.0}})
    ours.train_step(batch, wrapper)
    assert_same(state_of(early), kept)
    frozen_ones = {id(p) for block in early for module in block.modules for p in module.parameters()}
    learnt = {
        name: before[name] - p.detach()
        for name, p in ours.named_parameters()
        if id(p) not in frozen_ones and 'local_heads' not in name
    }
    assert_same(learnt, {name: expected[name] for name in learnt}, rtol=1e-3, atol=1e-5)
    assert len(learnt) == len(expected) - len(frozen_ones)
    assert trace_step(frozen, 2, CROP).peak < trace_step(whole, 2, CROP).peak


def state_of(blocks):
    modules = [module for block in blocks for module in block.modules]
    return [value.clone() for module in modules for value in module.state_dict().values()]
