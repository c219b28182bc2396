import gc
import pickle
import weakref
from contextlib import contextmanager
from copy import deepcopy

import pytest
import torch
import torch.nn.functional as F
from mmengine.optim import AmpOptimWrapper, OptimWrapper
from mmengine.runner import autocast
from torch import nn

from infopro_seg.errors import ConfigError
from infopro_seg.models.train_step import local_train_step, require_gradients
from tests.stand_ins import (
    CUTS,
    MEAN,
    STD,
    assert_same,
    build,
    encoder_config,
    gradients,
    local_head_config,
    make_batch,
    model_config,
    preprocessed,
    summed,
)

LR, MOMENTUM, DECAY = 0.05, 0.9, 0.01
CLOSE = {'rtol': 1e-9, 'atol': 1e-11}


def sgd(model, wrapper=OptimWrapper, **kwargs):
    optimizer = torch.optim.SGD(model.parameters(), lr=LR, momentum=MOMENTUM, weight_decay=DECAY)
    return wrapper(optimizer=optimizer, **kwargs)


def merged_train_step(model, batch, optim_wrapper):
    """The stock train step on the merged losses: what `local_train_step` must equal."""
    with optim_wrapper.optim_context(model):
        losses = model.loss(*preprocessed(model, batch))
    optim_wrapper.update_params(model.parse_losses(losses)[0])


class PlainNetwork:
    """The paper's training in plain PyTorch: ResNet-18-C, two cuts, SGD; nothing of mmseg takes part.

    Gradient isolation is stated another way than by detaching: the parameters of a module are
    differentiated by the loss of that module only.
    """

    modules = (
        ('backbone.stem.', 'backbone.layer1.', 'backbone.layer2.0.', 'backbone.local_heads.0.'),
        ('backbone.layer2.1.', 'backbone.layer3.', 'backbone.local_heads.1.'),
        ('backbone.layer4.', 'decode_head.', 'auxiliary_head.'),
    )

    def __init__(self, state):
        self.state = {key: value.clone() for key, value in state.items()}
        buffers = ('running_mean', 'running_var', 'num_batches_tracked')
        self.parameters = {k: v.requires_grad_() for k, v in self.state.items() if not k.endswith(buffers)}
        self.velocity = {key: torch.zeros_like(value) for key, value in self.parameters.items()}

    def conv(self, x, name, stride=1):
        weight = self.state[f'{name}.weight']
        padding = weight.shape[-1] // 2
        return F.conv2d(x, weight, self.state.get(f'{name}.bias'), stride, padding)

    def norm(self, x, name):
        s = self.state
        s[f'{name}.num_batches_tracked'] += 1
        statistics = s[f'{name}.running_mean'], s[f'{name}.running_var']
        return F.batch_norm(x, *statistics, s[f'{name}.weight'], s[f'{name}.bias'], training=True)

    def conv_norm_relu(self, x, name):
        return self.norm(self.conv(x, f'{name}.conv'), f'{name}.bn').relu()

    def stem(self, x):
        for index, stride in ((0, 2), (3, 1), (6, 1)):
            x = self.conv(x, f'backbone.stem.{index}', stride)
            x = self.norm(x, f'backbone.stem.{index + 1}').relu()
        return F.max_pool2d(x, 3, stride=2, padding=1)

    def block(self, x, stage, step):
        name = f'backbone.layer{stage}.{step}'
        stride = 2 if stage > 1 and step == 0 else 1
        y = self.norm(self.conv(x, f'{name}.conv1', stride), f'{name}.bn1').relu()
        y = self.norm(self.conv(y, f'{name}.conv2'), f'{name}.bn2')
        if stride == 2:
            x = self.norm(self.conv(x, f'{name}.downsample.0', stride), f'{name}.downsample.1')
        return (x + y).relu()

    def reconstruction_loss(self, x, image, name):
        height, width = image.shape[2:]
        x = self.conv_norm_relu(x, f'{name}.convs.0')
        x = self.conv_norm_relu(resized(x, height // 4, width // 4), f'{name}.convs.1')
        x = self.conv_norm_relu(resized(x, height // 2, width // 2), f'{name}.convs.2')
        x = self.conv(resized(x, height, width), f'{name}.convs.3')
        return -(image * F.logsigmoid(x) + (1 - image) * F.logsigmoid(-x)).mean()

    def task_loss(self, x, label, name):
        x = self.conv(self.conv_norm_relu(x, f'{name}.convs.0'), f'{name}.conv_seg')
        x = resized(x, *label.shape[1:]).permute(0, 2, 3, 1)
        known = label != 255
        logits, label_of = x[known], label[known]
        right = logits[torch.arange(len(logits)), label_of]
        return (logits.logsumexp(1) - right).sum() / label.numel()

    def losses(self, batch):
        """Eq. 9 of the paper for each local module, then the loss of the last."""
        bgr = torch.stack(batch['inputs']).double()
        rgb = bgr[:, [2, 1, 0]]
        label = torch.cat([sample.gt_sem_seg.data for sample in batch['data_samples']])
        mean, std = (torch.tensor(v).double().view(3, 1, 1) for v in (MEAN, STD))

        def local_loss(x, index, recon, task):
            name = f'backbone.local_heads.{index}'
            return recon * self.reconstruction_loss(x, rgb / 255, f'{name}.decoder') + task * self.task_loss(
                x, label, f'{name}.auxiliary_head'
            )

        x = self.stem((rgb - mean) / std)
        x = self.block(self.block(x, 1, 0), 1, 1)
        x = self.block(x, 2, 0)
        first = local_loss(x, 0, 1.5, 0.8)
        x = self.block(x, 2, 1)
        x = self.block(self.block(x, 3, 0), 3, 1)
        second = local_loss(x, 1, 0.5, 0.2)
        y = self.block(self.block(x, 4, 0), 4, 1)
        last = self.task_loss(y, label, 'decode_head') + 0.4 * self.task_loss(x, label, 'auxiliary_head')
        return first, second, last

    def train_step(self, batch):
        losses = self.losses(batch)
        for loss, prefixes in zip(losses, self.modules, strict=True):
            own = {key: p for key, p in self.parameters.items() if key.startswith(prefixes)}
            for key, gradient in zip(
                own, torch.autograd.grad(loss, list(own.values()), retain_graph=True), strict=True
            ):
                self.velocity[key].mul_(MOMENTUM).add_(gradient + DECAY * own[key].detach())
        for key, parameter in self.parameters.items():
            parameter.data -= LR * self.velocity[key]
        return [loss.detach() for loss in losses]


def resized(x, height, width):
    return F.interpolate(x, (height, width), mode='bilinear', align_corners=False)


def test_training_equals_the_paper_s_loss_in_plain_pytorch():
    model = build(model_config(CUTS, local_head=local_head_config((1.5, 0.5), (0.8, 0.2))))
    plain = PlainNetwork(model.state_dict())
    start = deepcopy(dict(model.state_dict()))
    optim_wrapper = sgd(model)
    for step in range(3):
        batch = make_batch(seed=step)
        expected = plain.train_step(batch)
        logs = model.train_step(batch, optim_wrapper)
        assert_same(logs['loss'], sum(expected), **CLOSE)
        for index, prefixes in enumerate([('local_0',), ('local_1',), ('decode', 'aux')]):
            own = {key: value for key, value in logs.items() if key.startswith(prefixes)}
            assert_same(summed(own), expected[index], **CLOSE)
    trained = {key: value.detach() for key, value in plain.state.items()}
    assert_same(dict(model.state_dict()), trained, **CLOSE)
    assert all((trained[key] != start[key]).any() for key in trained)


@pytest.mark.parametrize('wrapper', [OptimWrapper, AmpOptimWrapper])
@pytest.mark.parametrize(
    'options',
    [{}, {'clip_grad': {'max_norm': 0.1}}, {'clip_grad': {'type': 'value', 'clip_value': 0.01}}],
    ids=['plain', 'clip norm', 'clip value'],
)
@pytest.mark.parametrize(('accumulative_counts', 'iterations'), [(1, 2), (3, 4)], ids=['each', 'accumulate'])
def test_the_step_equals_the_stock_step_on_the_merged_losses(
    wrapper, options, accumulative_counts, iterations, amp_on_a_cpu
):
    """Accumulation runs into a remainder: four iterations are one step of three and one of one."""
    model = build(model_config(CUTS))
    twin = deepcopy(model)
    ours = sgd(model, wrapper, accumulative_counts=accumulative_counts, **deepcopy(options))
    # the oracle needs no loss scaling: it changes no gradient
    theirs = sgd(twin, accumulative_counts=accumulative_counts, **deepcopy(options))
    for optim_wrapper, network in ((ours, model), (theirs, twin)):
        optim_wrapper.initialize_count_status(network, 0, iterations)
    for step in range(iterations):
        batch = make_batch(seed=step)
        local_train_step(model, batch, ours)
        merged_train_step(twin, batch, theirs)
        assert ours.inner_count == theirs.inner_count == step + 1
        assert_same(dict(model.state_dict()), dict(twin.state_dict()), **CLOSE)
        if wrapper is OptimWrapper:
            assert_same(gradients(model), gradients(twin), **CLOSE)


def test_clipping_sees_the_gradients_of_all_modules_at_once():
    model = build(model_config(CUTS))
    twin = deepcopy(model)
    summed(twin.loss(*preprocessed(twin, make_batch()))).backward()
    norm = torch.cat([p.grad.flatten() for p in twin.parameters()]).norm()
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    local_train_step(model, make_batch(), OptimWrapper(optimizer, clip_grad={'max_norm': 0.5 * float(norm)}))
    moved = [
        old.detach() - new.detach() for old, new in zip(twin.parameters(), model.parameters(), strict=True)
    ]
    torch.testing.assert_close(torch.cat([m.flatten() for m in moved]).norm(), 0.5 * norm, rtol=1e-5, atol=0)


@pytest.mark.parametrize(('accumulative_counts', 'updates'), [(1, [1, 2, 3, 4]), (3, [0, 0, 1, 2])])
def test_an_iteration_counts_once_and_steps_at_most_once(accumulative_counts, updates):
    calls = []

    class Recording(OptimWrapper):
        def step(self):
            calls.append('step')
            super().step()

        def zero_grad(self):
            calls.append('zero_grad')
            super().zero_grad()

        def backward(self, loss):
            calls.append('backward')
            super().backward(loss)

    model = build(model_config(CUTS), double=False)
    optim_wrapper = sgd(model, Recording, accumulative_counts=accumulative_counts)
    optim_wrapper.initialize_count_status(model, 0, 4)
    expected = []
    for iteration, steps in enumerate(updates, start=1):
        local_train_step(model, make_batch(), optim_wrapper)
        expected += ['backward'] * 3
        expected += ['step', 'zero_grad'] * (steps - expected.count('step'))
        assert optim_wrapper.inner_count == iteration
        assert calls == expected


def test_logs_are_all_losses_detached_with_their_sum_first():
    model = build(model_config(CUTS))
    expected = deepcopy(model).loss(*preprocessed(model, make_batch()))
    logs = local_train_step(model, make_batch(), sgd(model))
    assert list(logs) == ['loss', *expected]
    assert not any(value.requires_grad for value in logs.values())
    total = logs.pop('loss')
    assert_same(total, summed(expected).detach(), **CLOSE)
    assert_same(logs, {key: value.detach().mean() for key, value in expected.items()}, **CLOSE)


class SavedBytes:
    """Bytes that autograd holds for backward at any one time; parameters are not counted."""

    def __init__(self, model):
        self.parameters = {p.untyped_storage().data_ptr() for p in model.parameters()}
        self.held, self.sizes, self.peak = {}, {}, 0

    @contextmanager
    def counted(self):
        with torch.autograd.graph.saved_tensors_hooks(self.pack, lambda saved: saved.tensor):
            yield
        gc.collect()

    def pack(self, tensor):
        saved = Saved()
        saved.tensor = tensor
        storage = tensor.untyped_storage()
        key = storage.data_ptr()
        if key not in self.parameters:
            self.held[key] = self.held.get(key, 0) + 1
            self.sizes[key] = storage.nbytes()
            weakref.finalize(saved, self.drop, key)
            self.peak = max(self.peak, self.live)
        return saved

    def drop(self, key):
        self.held[key] -= 1

    @property
    def live(self):
        return sum(self.sizes[key] for key, count in self.held.items() if count)


class Saved:
    tensor: torch.Tensor


def test_two_modules_hold_less_than_six_tenths_of_the_bytes_of_the_merged_loss():
    local_head = local_head_config()
    local_head['decoder']['channels'] = (4, 4, 3)
    encoder = encoder_config(depth=34, base_channels=16, strides=(1, 2, 1, 1), dilations=(1, 1, 2, 4))
    config = model_config(('layer2.3',), encoder=encoder, local_head=local_head, auxiliary_head=None)
    config['data_preprocessor']['size'] = (64, 128)
    model, batch = build(config, double=False), make_batch(size=(64, 128))
    optim_wrapper = sgd(model)
    local, merged = SavedBytes(model), SavedBytes(model)
    with merged.counted():
        merged_train_step(model, batch, optim_wrapper)
    with local.counted():
        local_train_step(model, batch, optim_wrapper)
    assert merged.peak > 4_000_000
    assert local.peak < 0.6 * merged.peak
    assert local.live == merged.live == 0


def test_the_graph_of_a_module_is_gone_when_the_next_one_runs():
    model = build(model_config(CUTS), double=False)
    saved = SavedBytes(model)
    at_start = []
    for name in ('stem', 'layer2.1', 'layer4.0'):  # each is the first block of a module
        block = model.backbone.encoder.get_submodule(name)
        block.register_forward_pre_hook(lambda *args: at_start.append(saved.live))
    with saved.counted():
        model.train_step(make_batch(), sgd(model))
    assert at_start == [0, 0, 0]
    assert saved.peak > 0


def test_nothing_is_kept_on_the_modules_between_steps():
    model = build(model_config(CUTS))
    optim_wrapper = sgd(model)
    attributes = {name: set(vars(module)) for name, module in model.named_modules()}
    features, handles = [], []
    for name in ('stem', 'layer1.1', 'layer3.0', 'layer4.1'):
        block = model.backbone.encoder.get_submodule(name)
        hook = block.register_forward_hook(lambda m, inputs, output: features.append(weakref.ref(output)))
        handles.append(hook)
    local_train_step(model, make_batch(), optim_wrapper)
    for handle in handles:
        handle.remove()
    gc.collect()
    assert len(features) == 4
    assert all(feature() is None for feature in features)
    assert {name: set(vars(module)) for name, module in model.named_modules()} == attributes

    copies = [deepcopy(model), pickle.loads(pickle.dumps(model))]
    local_train_step(model, make_batch(), sgd(model))
    for copy in copies:
        local_train_step(copy, make_batch(), sgd(copy))
        assert_same(dict(copy.state_dict()), dict(model.state_dict()))


@pytest.mark.parametrize('accumulative_counts', [1, 2])
def test_a_parameter_that_no_loss_reaches_is_named_before_the_first_step(accumulative_counts):
    model = build(model_config(CUTS), double=False)
    model.backbone.encoder.layer3.forgotten = nn.Parameter(torch.zeros(1))
    model.decode_head.frozen = nn.Parameter(torch.zeros(1), requires_grad=False)
    start = deepcopy(dict(model.named_parameters()))
    optim_wrapper = sgd(model, accumulative_counts=accumulative_counts)
    for _ in range(accumulative_counts - 1):
        local_train_step(model, make_batch(), optim_wrapper)
    with pytest.raises(ConfigError) as caught:
        local_train_step(model, make_batch(), optim_wrapper)
    for word in ('1 trainable', 'layer3.forgotten', 'no gradient', 'freeze', 'requires_grad=False', 'cut'):
        assert word in str(caught.value)
    assert 'frozen' not in str(caught.value)
    assert_same(dict(model.named_parameters()), start)


def test_many_parameters_without_a_gradient_are_counted_and_the_first_named():
    with pytest.raises(ConfigError, match=r'^10 trainable .*: 0\.weight, 0\.bias, .*3\.bias, \.\.\.;'):
        require_gradients(nn.Sequential(*(nn.Linear(1, 1) for _ in range(5))))


class Bfloat16(OptimWrapper):
    """Mixed precision on a CPU, where mmengine's AmpOptimWrapper refuses to work."""

    @contextmanager
    def optim_context(self, model):
        with super().optim_context(model), autocast(device_type='cpu', dtype=torch.bfloat16):
            yield


def test_mixed_precision_is_on_in_every_module_s_forward_and_off_in_backward():
    model = build(model_config(CUTS), double=False)
    exact = deepcopy(model)
    dtypes, in_backward = [], []
    for name in ('stem', 'layer3.0', 'layer4.0'):
        conv = next(
            m for m in model.backbone.encoder.get_submodule(name).modules() if isinstance(m, nn.Conv2d)
        )
        conv.register_forward_hook(lambda module, inputs, output: dtypes.append(output.dtype))
        conv.weight.register_hook(lambda grad: in_backward.append(torch.is_autocast_enabled('cpu')))
    logs = local_train_step(model, make_batch(), sgd(model, Bfloat16))
    assert dtypes == [torch.bfloat16] * 3
    assert in_backward == [False] * 3
    assert all(torch.isfinite(value).all() for value in logs.values())
    expected = local_train_step(exact, make_batch(), sgd(exact))
    torch.testing.assert_close(logs['loss'], expected['loss'], rtol=0.02, atol=0)
    assert_same(dict(model.named_parameters()), dict(exact.named_parameters()), rtol=0.1, atol=0.02)
