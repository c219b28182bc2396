"""The tracer against byte counts by hand, and against what autograd really saves."""

import gc
from dataclasses import replace

import pytest
import torch
from mmengine import ConfigDict
from mmseg.models.losses import accuracy
from mmseg.registry import MODELS
from torch import nn
from torch.nn import functional as F

from infopro_seg.config_edits import with_turn
from infopro_seg.errors import UserError
from infopro_seg.memory import trace_step
from infopro_seg.memory.tracing.autocast import autocast
from infopro_seg.memory.tracing.fake_model import fake_tensors
from tests.memory.short_resnets import ShortResNet, short_encoder
from tests.memory.traces import trace_once
from tests.stand_ins import CUTS, SIZE, build, make_batch, model_config, stock_config


def short_config(cuts=CUTS, encoder=None):
    return model_config(cuts, encoder=encoder or short_encoder())


def test_state_of_the_model_by_hand():
    config = ConfigDict(short_config())
    trace = trace_once(config, 2, SIZE, optimizer={'type': 'Adam', 'lr': 0.1})
    model = build(config, double=False)

    assert trace.parameters == trace.gradients == rounded(model.parameters())
    assert trace.buffers == rounded(model.buffers())
    moments = 2 * trace.parameters
    assert trace.optimizer_state == moments + 512 * len(list(model.parameters()))  # and a step count each


def test_modules_and_their_peaks():
    whole = trace_once(ConfigDict(short_config(())), 2, (128, 256))
    cut = trace_once(ConfigDict(short_config()), 2, (128, 256))
    assert [module.blocks[-1] for module in cut.modules] == ['layer2.0', 'layer3.1', 'layer4.0']
    assert sum(len(module.blocks) for module in cut.modules) == len(whole.modules[0].blocks)
    assert cut.peak == max(module.peak for module in cut.modules)
    assert cut.flops > whole.flops


def test_stock_segmentor_has_the_same_flops():
    config = short_config(())
    stock = trace_once(ConfigDict(stock_config(config)), 2, SIZE)
    ours = trace_once(ConfigDict(config), 2, SIZE)
    assert len(stock.modules) == 1
    assert stock.flops == ours.flops
    assert stock.peak == pytest.approx(ours.peak, rel=0.05)  # ours makes the image in RGB


def test_synced_norms_count_as_plain_ones():
    plain = short_config()
    synced = ConfigDict(short_config(encoder=short_encoder(norm_cfg={'type': 'SyncBN'})))
    assert trace_once(synced, 2, SIZE).peak == trace_once(ConfigDict(plain), 2, SIZE).peak


@pytest.mark.parametrize('amp', ['fp16', 'bf16'])
def test_half_precision_takes_less(amp):
    config = ConfigDict(short_config(()))
    full, half = (trace_once(config, 2, (128, 256), precision) for precision in (None, amp))
    assert half.peak < 0.9 * full.peak  # logits at full resolution stay in float32
    assert half.parameters == full.parameters
    assert half.flops == full.flops


def test_autocast_goes_by_the_rules_of_cuda():
    with fake_tensors(), autocast('fp16'):
        x = torch.empty(1, 4, 8, 8)
        half = nn.Conv2d(4, 4, 1)(x)
        assert half.dtype == torch.float16
        assert nn.BatchNorm2d(4)(half).dtype == torch.float16
        for kept in (
            F.interpolate(half, scale_factor=2, mode='bilinear'),
            half.log_softmax(1),
            F.softmax(half, 1),
            half.sum(),
            nn.GroupNorm(2, 4)(half),
            nn.LayerNorm(8)(half),
            F.binary_cross_entropy_with_logits(half, x),
        ):
            assert kept.dtype == torch.float32
    with torch.autocast('cpu', torch.bfloat16):  # and the rules of the CPU are back
        assert torch.ones(2, 2, dtype=torch.bfloat16).log_softmax(1).dtype == torch.bfloat16


def test_accumulated_gradients_are_alive_throughout():
    config = ConfigDict(short_config())
    once, twice = (trace_once(config, 2, SIZE, accumulation=count) for count in (1, 2))
    assert twice.modules[0].held == once.modules[0].held + once.gradients
    assert twice.flops == once.flops


def test_checkpointing_trades_flops_for_bytes():
    config = ConfigDict(short_config(()))
    plain = trace_once(config, 2, (128, 256))
    config.backbone.checkpoint = True
    recomputed = trace_once(config, 2, (128, 256))
    assert recomputed.peak < plain.peak
    assert 1.0 < recomputed.flops / plain.flops < 4 / 3


def test_masks_count_as_true_everywhere():
    with fake_tensors():
        result = accuracy(torch.empty(2, 5, 4, 4), torch.zeros(2, 4, 4, dtype=torch.long), ignore_index=255)
        assert result.shape == (1,)
        mask = torch.empty(3, 4) > 0
        assert torch.empty(3, 4)[mask].shape == (12,)
        assert mask.nonzero().shape == (12, 2)


def test_values_that_a_trace_does_not_have():
    with pytest.raises(UserError, match=r'unique.*measure it on the GPU'), fake_tensors():
        torch.empty(4).unique()


@MODELS.register_module()
class HeldTwice(ShortResNet):
    """Two norms have one weight; a tensor is no buffer, and the encoder refers to itself."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.layer4[0].bn1.weight = self.layer4[0].bn2.weight
        self.factor = torch.ones(1)
        self.method = self.forward

    def forward(self, x):
        return super().forward(x * self.factor)


@MODELS.register_module()
class ComputedWidth(HeldTwice):
    """Computes a size from tensors, as timm's RegNets do, when most of it is there."""

    def __init__(self, width, **kwargs):
        super().__init__(base_channels=width, **kwargs)
        self.layer4[0].conv1 = nn.Conv2d(
            4 * width, len(torch.arange(8 * width).unique()), 3, 2, 1, bias=False
        )


def test_sizes_that_are_computed_from_values():
    known = {**short_encoder(), 'type': 'HeldTwice'}
    computed = {**short_encoder(), 'type': 'ComputedWidth'}
    computed['width'] = computed.pop('base_channels')
    gc.disable()  # else chance collects what was begun
    try:
        first, second = (trace_step(short_config(encoder=encoder), 2, SIZE) for encoder in (known, computed))
    finally:
        gc.enable()
    assert first.parameters < trace_once(short_config(), 2, SIZE).parameters
    assert replace(first, seconds=0) == replace(second, seconds=0)


def test_a_trace_does_not_touch_the_config():
    config = ConfigDict(short_config())
    before = config.to_dict()
    trace_step(config, 1 + 1, (64, 64))
    assert config.to_dict() == before
    assert make_batch()  # and real tensors are real again
    assert type(torch.empty(1)) is torch.Tensor


def rounded(tensors):
    return sum(-(-t.numel() * t.element_size() // 512) * 512 for t in tensors)


def staged(stage):
    config = short_config()
    if stage is not None:
        with_turn(config['backbone'], stage)
    return ConfigDict(config)


@pytest.mark.parametrize('stage', range(3))
def test_a_stage_holds_the_state_of_its_module_only(stage):
    trace = trace_once(staged(stage), 2, SIZE)
    model = build(staged(stage), double=False)
    trained = rounded(p for p in model.parameters() if p.requires_grad)
    assert trace.parameters == trace.gradients == trace.optimizer_state == trained
    whole = trace_once(staged(None), 2, SIZE)
    assert [module.blocks for module in trace.modules] == [whole.modules[stage].blocks]
    assert trace.flops < whole.flops


def test_a_stage_s_peak_is_that_of_its_module_without_the_state_of_the_others():
    whole, first = (trace_once(staged(stage), 2, (128, 256)) for stage in (None, 0))
    spared = [
        getattr(whole, kind) - getattr(first, kind) for kind in ('parameters', 'optimizer_state', 'buffers')
    ]
    assert min(spared) > 0
    assert first.modules[0].peak == whole.modules[0].peak - sum(spared)
    for stage in (1, 2):  # whose gradients of earlier modules and logged losses are not there either
        later = trace_once(staged(stage), 2, (128, 256))
        kinds = ('parameters', 'optimizer_state', 'buffers')
        spared = sum(getattr(whole, kind) - getattr(later, kind) for kind in kinds)
        assert later.modules[0].peak < whole.modules[stage].peak - spared
