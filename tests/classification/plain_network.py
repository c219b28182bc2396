"""The classifier of the tests and the losses of the paper in plain PyTorch."""

import torch
import torch.nn.functional as F

from tests.classification.tiny import CUTS
from tests.stand_ins import MEAN, STD

BLOCKS = ('stem', 'layer1.0', 'layer2.0', 'layer3.0')
RECON, TASK = {2: (3.0,), 4: (3.0, 2.0, 1.0)}, {2: (0.5,), 4: (0.5, 1.25, 2.0)}


class PlainClassifier:
    """ResNet-8 on a state dict; the parameters of a module are differentiated by the loss of that module.

    Args:
        state: the state dict, whose statistics of norms move.
        modules: number of local modules.
        loss: `softmax` or `contrast`.
        convs: convolutions of an auxiliary head.
        linears: its linear layers.
        decodes: whether local heads have a decoder.
    """

    def __init__(self, state, modules, loss, convs=1, linears=2, decodes=True):
        self.state = {key: value.clone() for key, value in state.items()}
        buffers = ('running_mean', 'running_var', 'num_batches_tracked')
        self.parameters = {k: v.requires_grad_() for k, v in self.state.items() if not k.endswith(buffers)}
        self.modules = modules
        self.loss = loss
        self.convs, self.linears, self.decodes = convs, linears, decodes

    def norm(self, x, name):
        s = self.state
        s[f'{name}.num_batches_tracked'] += 1
        mean, variance = x.mean((0, 2, 3)), x.var((0, 2, 3), unbiased=False)
        unbiased = variance * x[:, 0].numel() / (x[:, 0].numel() - 1)
        for kind, value in (('mean', mean), ('var', unbiased)):
            with torch.no_grad():
                s[f'{name}.running_{kind}'] *= 0.9
                s[f'{name}.running_{kind}'] += 0.1 * value
        x = (x - mean.view(-1, 1, 1)) / (variance.view(-1, 1, 1) + 1e-5).sqrt()
        return x * s[f'{name}.weight'].view(-1, 1, 1) + s[f'{name}.bias'].view(-1, 1, 1)

    def conv(self, x, name, stride=1):
        weight = self.state[f'{name}.weight']
        return F.conv2d(x, weight, self.state.get(f'{name}.bias'), stride, weight.shape[-1] // 2)

    def linear(self, x, name):
        return x @ self.state[f'{name}.weight'].T + self.state[f'{name}.bias']

    def block(self, x, name):
        if name == 'stem':
            return self.norm(self.conv(x, 'backbone.conv1'), 'backbone.bn1').relu()
        path = f'backbone.{name}'
        stride = 1 if name == 'layer1.0' else 2
        y = self.norm(self.conv(x, f'{path}.conv1', stride), f'{path}.bn1').relu()
        y = self.norm(self.conv(y, f'{path}.conv2'), f'{path}.bn2')
        if stride == 2:
            x = self.norm(self.conv(x, f'{path}.downsample.0', 2), f'{path}.downsample.1')
        return (x + y).relu()

    def reconstruction(self, x, image, name):
        x = F.interpolate(x, image.shape[2:], mode='bilinear', align_corners=False)
        x = self.norm(self.conv(x, f'{name}.convs.0.conv'), f'{name}.convs.0.bn').relu()
        p = self.conv(x, f'{name}.convs.1').sigmoid()
        return -(image * p.log() + (1 - image) * (1 - p).log()).mean()

    def task(self, x, labels, name):
        for index in range(self.convs):  # each with a norm and an activation
            stride = 2 if index == 0 and x.shape[-1] >= 16 else 1
            x = self.conv(x, f'{name}.convs.{3 * index}', stride)
            x = self.norm(x, f'{name}.convs.{3 * index + 1}').relu()
        x = x.mean((2, 3))
        for index in range(self.linears):
            x = self.linear(x.relu() if index else x, f'{name}.linear.{2 * index}')
        return self.contrast(x, labels) if self.loss == 'contrast' else self.cross_entropy(x, labels)

    def cross_entropy(self, x, labels):
        return -torch.stack([row.log_softmax(0)[label] for row, label in zip(x, labels, strict=True)]).mean()

    def contrast(self, x, labels):
        z = x / x.norm(dim=1, keepdim=True)
        losses = []
        for i in range(len(z)):
            others = [k for k in range(len(z)) if k != i]
            total = sum((z[i] @ z[k] / 0.07).exp() for k in others)
            positives = [k for k in others if labels[k] == labels[i]]
            losses.append(
                -sum(((z[i] @ z[p] / 0.07).exp() / total).log() for p in positives) / len(positives)
            )
        return sum(losses) / len(losses)

    def losses_and_gradients(self, batch):
        """Eq. 9 of the paper for each local module, then the loss of the last; gradients by name."""
        rgb = torch.stack(batch['inputs']).double()[:, [2, 1, 0]]
        labels = torch.cat([sample.gt_label for sample in batch['data_samples']])
        mean, std = (torch.tensor(v).double().view(3, 1, 1) for v in (MEAN, STD))
        x, mine, index = (rgb - mean) / std, [], 0
        losses, gradients = [], {}
        for name in BLOCKS:
            x = self.block(x, name)
            mine += ['backbone.conv1.', 'backbone.bn1.'] if name == 'stem' else [f'backbone.{name}.']
            if name in CUTS[self.modules]:
                head = f'backbone.local_heads.{index}'
                loss = TASK[self.modules][index] * self.task(x, labels, f'{head}.auxiliary_head')
                if self.decodes:
                    recon = self.reconstruction(x, rgb / 255, f'{head}.decoder')
                    loss = RECON[self.modules][index] * recon + loss
                mine.append(f'{head}.')
                index += 1
            elif name == BLOCKS[-1]:
                loss = self.cross_entropy(self.linear(x.mean((2, 3)), 'head.fc'), labels)
                mine.append('head.')
            else:
                continue
            names = [key for key in self.parameters if key.startswith(tuple(mine))]
            found = torch.autograd.grad(loss, [self.parameters[key] for key in names], retain_graph=True)
            gradients.update(zip(names, found, strict=True))
            losses.append(loss.detach())
            mine = []
        return losses, gradients
