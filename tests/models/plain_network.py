"""The network of the tests and the losses of the paper in plain PyTorch, without mmseg."""

import torch
import torch.nn.functional as F

from tests.stand_ins import MEAN, STD

LR, MOMENTUM, DECAY = 0.05, 0.9, 0.01


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
