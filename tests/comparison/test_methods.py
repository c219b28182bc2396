"""One step of every method against the local losses written out with torch's own functions."""

import pytest
import torch
import torch.nn.functional as F
from mmengine.optim import build_optim_wrapper
from mmengine.registry import DefaultScope
from mmseg.registry import MODELS

from infopro_seg.comparison.suite import Run, run_config
from infopro_seg.config_files import load_config
from tests.models.test_contrastive_head import by_pixels
from tests.runs import ROOT
from tests.stand_ins import assert_same, make_batch

CROP = (32, 64)
MODULES = 3
METHODS = ('e2e', 'e2e_checkpointed', 'greedy', 'dgl', 'infopro', 'infopro_contrast')
PROJECTED, PER_CLASS = 4, 80  # every pixel is drawn


@pytest.fixture(params=METHODS)
def trained(request):
    """A model of the suite's in double precision without dropout, before and after a step of plain SGD."""
    suite = load_config(ROOT / 'configs' / 'compare' / 'cpu.py')
    suite.model.data_preprocessor.size = CROP
    local = 'local_head' in suite.methods[request.param]
    config = run_config(suite, Run(request.param, MODULES if local else 1, 0))
    config.model.decode_head.dropout_ratio = 0.0
    if local:
        auxiliary = config.model.backbone.local_head.auxiliary_head
        if auxiliary.type == 'ContrastiveHead':
            auxiliary.update(out_channels=PROJECTED, pixels_per_class=PER_CLASS)
        else:
            auxiliary.dropout_ratio = 0.0
    with DefaultScope.overwrite_default_scope('mmseg'):
        model = MODELS.build(config.model).double().train()
        sgd = {'type': 'OptimWrapper', 'optimizer': {'type': 'SGD', 'lr': 1.0}}
        optim_wrapper = build_optim_wrapper(model, sgd)
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    data = make_batch(size=CROP)
    model.train_step(data, optim_wrapper)
    ours = {name: before[name] - p.detach() for name, p in model.named_parameters()}
    model.load_state_dict(before_as_state(model, before), strict=False)
    return request.param, model, data, ours


def before_as_state(model, before):
    return {name.replace('backbone.encoder.', 'backbone.'): value for name, value in before.items()}


def norm_relu(conv, x, padding):
    x = F.conv2d(x, conv.conv.weight, padding=padding)
    return F.batch_norm(x, None, None, conv.bn.weight, conv.bn.bias, training=True).relu()


def classified(head, feature, convs, labels, align_corners):
    for conv in convs:
        feature = norm_relu(conv, feature, 1)
    logits = F.conv2d(feature, head.conv_seg.weight, head.conv_seg.bias)
    logits = F.interpolate(logits, labels.shape[1:], mode='bilinear', align_corners=align_corners)
    return F.cross_entropy(logits, labels, ignore_index=255)


def decoded(decoder, feature, image):
    """Half the image's resolution, reached by doublings as late as they can be."""
    hidden = norm_relu(decoder.convs[0], feature, 0)
    for index, conv in enumerate(decoder.convs[1:]):
        doublings = index if feature.shape[2] == CROP[0] // 8 else max(index - 1, 0)
        size = [side * 2**doublings for side in feature.shape[2:]]
        hidden = F.interpolate(hidden, size, mode='bilinear')
        last = index == len(decoder.convs) - 2
        hidden = F.conv2d(hidden, conv.weight, conv.bias, padding=1) if last else norm_relu(conv, hidden, 1)
    target = F.avg_pool2d(image, 2)
    return -(target * hidden.sigmoid().log() + (1 - target) * (1 - hidden.sigmoid()).log()).mean()


def contrasted(head, feature, labels):
    hidden = norm_relu(head.convs[0], feature, 1)
    vectors = F.conv2d(hidden, head.projection.weight, head.projection.bias)
    vectors = (vectors / vectors.norm(dim=1, keepdim=True)).permute(0, 2, 3, 1).reshape(-1, PROJECTED)
    coarse = F.interpolate(labels[:, None].double(), feature.shape[2:]).long().flatten()
    return by_pixels(vectors, coarse, coarse != 255, head.temperature)


def expected_loss(method, model, data):
    """The sum of all modules' losses over features whose gradients stop at the cuts."""
    image = torch.stack(data['inputs']).flip(1).double()  # the preprocessor turns BGR into RGB
    mean, std = model.data_preprocessor.mean.double(), model.data_preprocessor.std.double()
    labels = torch.cat([sample.gt_sem_seg.data for sample in data['data_samples']])
    encoder, heads = model.backbone.encoder, list(model.backbone.local_heads)
    steps = [('stem', torch.nn.Sequential(encoder.stem, encoder.maxpool))]
    for stage in ('layer1', 'layer2', 'layer3'):
        steps += [(f'{stage}.{index}', block) for index, block in enumerate(getattr(encoder, stage))]
    state, total = (image - mean) / std, 0.0
    for name, step in steps:
        state = step(state)
        if name not in model.backbone.cuts:
            continue
        head = heads.pop(0)
        if head.decoder is not None:
            total = total + 1.5 * decoded(head.decoder, state, image / 255)
        fewer = labels[:, 2::4, 2::4]
        if method == 'infopro_contrast':
            total = total + contrasted(head.auxiliary_head, state, fewer)
        else:
            convs = [] if method == 'greedy' else list(head.auxiliary_head.convs)
            total = total + classified(head.auxiliary_head, state, convs, fewer, True)
        state = state.detach()
    assert not heads
    return total + classified(model.decode_head, state, model.decode_head.convs, labels, False)


def test_one_step_follows_the_gradients_of_the_losses_written_out(trained):
    method, model, data, ours = trained
    parameters = dict(model.named_parameters())
    loss = expected_loss(method, model, data)
    theirs = dict(zip(parameters, torch.autograd.grad(loss, list(parameters.values())), strict=True))
    assert_same(ours, theirs, rtol=1e-6, atol=1e-9)
    assert all((gradient != 0).any() for gradient in theirs.values())
