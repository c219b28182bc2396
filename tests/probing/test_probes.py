import math

import pytest
import torch
import torch.nn.functional as F

from infopro_seg.probing.probes import HIDDEN, PixelProbe, ProbeOptimizer, build_probe
from tests.models.test_decoder import decode
from tests.stand_ins import CLASSES, assert_same, jitter

SIZE = (16, 32)
CHANNELS = 3


def make_probe(name='layer1.0', seed=0):
    return build_probe(PixelProbe, name, CHANNELS, CLASSES, seed)


def make_data(seed=0):
    random = torch.Generator().manual_seed(seed)
    feature = 5 + 3 * torch.randn(2, CHANNELS, SIZE[0] // 4, SIZE[1] // 4, generator=random).double()
    image = torch.rand(2, 3, *SIZE, generator=random).double()
    labels = torch.randint(0, CLASSES, (2, *SIZE), generator=random)
    labels[torch.rand(2, *SIZE, generator=random) < 0.3] = 255
    return feature, image, labels


def standardised(feature, mean=None, variance=None):
    mean = feature.mean((0, 2, 3), keepdim=True) if mean is None else mean
    variance = feature.var((0, 2, 3), unbiased=False, keepdim=True) if variance is None else variance
    return (feature - mean) / (variance + 1e-5).sqrt()


def classify(probe, x):
    """Both classifiers as matrices over channels, at the feature map's own resolution."""

    def pixelwise(x, layer):
        weight = layer.weight[:, :, 0, 0]
        return torch.einsum('oc,nchw->nohw', weight, x) + layer.bias[:, None, None]

    return {
        'linear': pixelwise(x, probe.linear),
        'mlp': pixelwise(pixelwise(x, probe.mlp[0]).clamp(min=0), probe.mlp[2]),
    }


def loss_by_hand(probe, feature, image, labels):
    """Paper, section 5, the classifiers on every fourth label: the resolution of this feature map."""
    x = standardised(feature)
    decoded = decode(probe.decoder, x, *SIZE).sigmoid()
    loss = -(image * decoded.log() + (1 - image) * (1 - decoded).log()).mean()
    labels = labels[:, 2::4, 2::4]
    known = labels != 255
    for logits in classify(probe, x).values():
        likelihood = logits.log_softmax(1).permute(0, 2, 3, 1)[known]
        loss = loss - likelihood.gather(1, labels[known][:, None]).mean()
    return loss


def adam_by_hand(probe, lr, steps, total):
    """Adam and a cosine, written out."""
    parameters = list(probe.parameters())
    moments = [(torch.zeros_like(p), torch.zeros_like(p)) for p in parameters]
    for step in range(1, steps + 1):
        gradients = torch.autograd.grad(loss_by_hand(probe, *make_data(step)), parameters)
        rate = lr * 0.5 * (1 + math.cos(math.pi * (step - 1) / total))
        for parameter, gradient, (first, second) in zip(parameters, gradients, moments, strict=True):
            first.mul_(0.9).add_(0.1 * gradient)
            second.mul_(0.999).add_(0.001 * gradient**2)
            direction = first / (1 - 0.9**step) / ((second / (1 - 0.999**step)).sqrt() + 1e-8)
            parameter.data -= rate * direction
    return probe


def test_training_equals_an_implementation_by_hand():
    ours, theirs = make_probe().double().train(), adam_by_hand(make_probe().double(), 0.1, 3, 4)
    optimizer = ProbeOptimizer({'layer1.0': ours}, 0.1, 4)
    for step in range(1, 4):
        optimizer.step([ours.loss(*make_data(step))])
    start = dict(make_probe().double().named_parameters())
    for name, parameter in ours.named_parameters():
        assert_same(parameter, dict(theirs.named_parameters())[name], rtol=1e-8, atol=1e-8)
        if not name.endswith('conv.bias'):
            assert (parameter - start[name]).abs().max() > 1e-3


def test_features_are_standardised_by_the_mean_of_all_batches():
    probe = make_probe().double().train()
    batches = [make_data(seed) for seed in range(5)]
    for batch in batches:
        probe.loss(*batch)
    features = torch.stack([feature for feature, _, _ in batches])
    assert_same(probe.standardise.running_mean, features.mean((0, 1, 3, 4)), rtol=1e-9, atol=1e-9)
    variance = torch.stack([feature.var((0, 2, 3)) for feature in features]).mean(0)
    assert_same(probe.standardise.running_var, variance, rtol=1e-9, atol=1e-9)


def test_logits_are_at_the_image_s_resolution():
    probe = jitter(make_probe()).double().eval()
    feature = make_data()[0]
    norm = probe.standardise
    x = standardised(feature, norm.running_mean.view(-1, 1, 1), norm.running_var.view(-1, 1, 1))
    expected = {
        name: F.interpolate(logits, SIZE, mode='bilinear') for name, logits in classify(probe, x).items()
    }
    actual = probe(feature, SIZE)
    assert actual.keys() == {'image', 'linear', 'mlp'}
    assert_same(actual['image'], probe.decoder(x, SIZE), rtol=1e-9, atol=1e-9)
    for name, logits in expected.items():
        assert_same(actual[name], logits, rtol=1e-9, atol=1e-9)


def test_a_batch_of_nothing_but_ignored_pixels_moves_no_classifier():
    probe = make_probe().double().train()
    feature, image, labels = make_data()
    loss = probe.loss(feature, image, torch.full_like(labels, 255))
    loss.backward()
    assert_same(loss, probe.decoder.loss(probe.standardise(feature), image))
    for name, parameter in probe.named_parameters():
        assert (parameter.grad == 0).all() == (not name.startswith('decoder')) or 'conv.bias' in name


@pytest.mark.parametrize(
    ('other', 'equal'), [(('layer1.0', 0), True), (('layer1.1', 0), False), (('layer1.0', 1), False)]
)
def test_weights_depend_on_block_and_seed_alone(other, equal):
    first = make_probe()
    torch.rand(7)
    state = torch.get_rng_state()
    second = make_probe(*other)
    assert torch.equal(state, torch.get_rng_state())
    assert torch.equal(first.linear.weight, second.linear.weight) == equal
    assert torch.equal(first.decoder.convs[0].conv.weight, second.decoder.convs[0].conv.weight) == equal
    assert first.mlp[0].weight.shape == (HIDDEN, CHANNELS, 1, 1)
