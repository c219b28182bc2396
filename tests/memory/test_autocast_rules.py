"""Autocast of traces against CUDA's own, on fake tensors that say they are on a GPU."""

import pytest
import torch
import torch.nn.functional as F
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode

from infopro_seg.memory.tracing.autocast import cuda_rules

OPERATIONS = {  # of x in low precision, y and weights in float32, labels, and the index i
    'conv2d': lambda t: F.conv2d(t.y, t.w),
    'conv2d, padded': lambda t: F.conv2d(t.y, t.w, padding='same'),
    'conv_transpose2d': lambda t: F.conv_transpose2d(t.y, t.w),
    'linear': lambda t: F.linear(t.y, t.square),
    'matmul': lambda t: t.x @ t.y,
    'einsum': lambda t: torch.einsum('nchw,ncvw->nhv', t.x, t.y),
    'prelu': lambda t: F.prelu(t.x, t.channels),
    'cat': lambda t: torch.cat([t.x, t.y]),
    'stack': lambda t: torch.stack([t.x, t.y]),
    'index_put': lambda t: t.y.index_put((t.i,), t.x),
    'addcmul': lambda t: torch.addcmul(t.x, t.x, t.y),
    'softmax': lambda t: t.x.softmax(-1),
    'log_softmax': lambda t: F.log_softmax(t.x, 1),
    'softmax of float32': lambda t: t.y.softmax(-1),
    'cross_entropy': lambda t: F.cross_entropy(t.x, t.label),
    'weighted cross_entropy': lambda t: F.cross_entropy(t.x, t.label, t.channels),
    'binary_cross_entropy': lambda t: F.binary_cross_entropy_with_logits(t.x, t.y),
    'mse_loss': lambda t: F.mse_loss(t.x, t.y),
    'smooth_l1_loss': lambda t: F.smooth_l1_loss(t.x, t.y),
    'batch_norm': lambda t: F.batch_norm(t.x, None, None, training=True),
    'layer_norm': lambda t: F.layer_norm(t.x, (4,)),
    'group_norm': lambda t: F.group_norm(t.x, 3),
    'rms_norm': lambda t: F.rms_norm(t.x, (4,)),
    'normalize': lambda t: F.normalize(t.x, dim=1),
    'cosine_similarity': lambda t: F.cosine_similarity(t.x, t.y),
    'gelu': lambda t: F.gelu(t.x),
    'exp': lambda t: t.x.exp(),
    'expm1': lambda t: t.x.expm1(),
    'pow': lambda t: t.x.pow(2),
    'sum': lambda t: t.x.sum(1),
    'mean': lambda t: t.x.mean((2, 3)),
    'prod': lambda t: t.x.prod(),
    'cumsum': lambda t: t.x.cumsum(1),
    'logsumexp': lambda t: t.x.logsumexp(1),
    'bilinear upsampling': lambda t: F.interpolate(t.x, size=(8, 8), mode='bilinear'),
    'nearest upsampling': lambda t: F.interpolate(t.x, size=(8, 8)),
    'adaptive_avg_pool2d': lambda t: F.adaptive_avg_pool2d(t.x, (2, 2)),
    'reflection': lambda t: F.pad(t.x, (1, 1, 1, 1), mode='reflect'),
    'replication': lambda t: F.pad(t.x, (1, 1, 1, 1), mode='replicate'),
}


class Recorder(TorchDispatchMode):
    """Notes every operation that computes, and the type of what it gives."""

    def __init__(self):
        super().__init__()
        self.found = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        if isinstance(result, torch.Tensor):
            self.found.append((str(func), result.dtype))
        return result


class Tensors:
    def __init__(self, mode, device, dtype):
        def fake(shape, kind=torch.float32):
            return FakeTensor(mode, torch.empty(shape, dtype=kind, device='meta'), torch.device(device))

        self.x, self.y, self.w = fake((2, 3, 4, 4), dtype), fake((2, 3, 4, 4)), fake((3, 3, 1, 1))
        self.square, self.channels = fake((4, 4)), fake((3,))
        self.label, self.i = fake((2, 4, 4), torch.int64), fake((2,), torch.int64)


FUSED = ('rms_norm',)  # on GPUs, by torch 2.14, where a CPU computes it in several steps


def recorded(operation, device, dtype):
    kind = device.partition(':')[0]
    mode = FakeTensorMode()
    tensors = Tensors(mode, device, dtype)
    before = torch.is_autocast_enabled(kind), torch.get_autocast_dtype(kind)
    torch.set_autocast_dtype(kind, dtype)
    torch.set_autocast_enabled(kind, True)  # torch.autocast('cuda') wants a GPU
    try:
        with torch.no_grad(), mode, Recorder() as recorder:
            operation(tensors)
    finally:
        torch.set_autocast_enabled(kind, before[0])
        torch.set_autocast_dtype(kind, before[1])
        torch.clear_autocast_cache()
    return recorder.found


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize('name', OPERATIONS)
def test_the_same_operations_run_in_the_same_precision(name, dtype):
    with cuda_rules():
        found = recorded(OPERATIONS[name], 'cpu', dtype)
    expected = recorded(OPERATIONS[name], 'cuda:0', dtype)
    if name in FUSED:
        found, expected = ([one[0], one[-1][1]] for one in (found, expected))
    assert found == expected
    assert found


def test_the_rules_of_the_cpu_are_back_afterwards():
    expected = {name: recorded(run, 'cpu', torch.float16) for name, run in OPERATIONS.items()}
    with cuda_rules():
        assert recorded(OPERATIONS['cat'], 'cpu', torch.float16) != expected['cat']
    assert {name: recorded(run, 'cpu', torch.float16) for name, run in OPERATIONS.items()} == expected
