"""Builds a model, its optimizer and a batch from fake tensors."""

from __future__ import annotations

import copy
import gc
import inspect
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from mmengine.model.utils import _BatchNormXd, revert_sync_batchnorm
from mmengine.registry import OPTIMIZERS, DefaultScope
from mmengine.structures import PixelData
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from torch import Tensor, nn
from torch._subclasses.fake_tensor import (
    DataDependentOutputException,
    DynamicOutputShapeException,
    FakeTensorMode,
)
from torch.utils._python_dispatch import _disable_current_modes

import infopro_seg.models  # noqa: F401  registers the models
from infopro_seg.batch_norm import batch_norm_needs_two
from infopro_seg.errors import UserError
from infopro_seg.memory.tracing.autocast import cuda_rules
from infopro_seg.memory.tracing.storages import ELSEWHERE, StorageTracker
from infopro_seg.models.asynchronous.turns import modules_elsewhere, slots
from infopro_seg.models.encoder import without_weights
from infopro_seg.tasks import is_classifier

TOO_SMALL = (  # what PyTorch says of a feature map that a layer cannot take
    "Kernel size can't be greater than actual input size",
    'Output size is too small',
    'Padding size should be less than the corresponding input dimension',
)
VALUES_NEEDED = (DataDependentOutputException, DynamicOutputShapeException)
SGD = {'type': 'SGD', 'lr': 0.01, 'momentum': 0.9, 'weight_decay': 5e-4}


class SmallImagesError(UserError):
    """The images are too small for a layer of the network."""


@contextmanager
def fake_tensors() -> Iterator[StorageTracker]:
    """A context in which tensors have sizes but no values, and their storages are followed.

    Raises:
        UserError: an operation in the context needs values.
        SmallImagesError: the images are too small for a layer.
        SingleValueError: a batch norm in the context sees one value per channel.
    """
    with warnings.catch_warnings(), cuda_rules(), DefaultScope.overwrite_default_scope('mmseg'):
        warnings.simplefilter('ignore')
        try:
            with batch_norm_needs_two(), FakeTensorMode(), StorageTracker() as tracker:
                yield tracker
        except VALUES_NEEDED as error:
            raise UserError(
                f'cannot trace this model: it computes {error.func}, whose result depends on values that a '
                'trace does not have; measure it on the GPU instead'
            ) from error
        except RuntimeError as error:
            if not any(text in str(error) for text in TOO_SMALL):
                raise
            raise SmallImagesError(
                f'the images are too small for the network: {error}. Choose a larger size or crop; '
                '--traceback shows the layer'
            ) from error


def build_model(cfg: Any, crop: tuple[int, int]) -> Any:
    """Builds the model of a config for a crop, ready to train in a single process.

    Parameters of modules that a training keeps in main memory are on the device `ELSEWHERE`.
    """
    model_cfg = copy.deepcopy(cfg.get('model', cfg))
    preprocessor = model_cfg.get('data_preprocessor')
    if preprocessor is not None and not is_classifier(cfg):  # which takes images of any size
        preprocessor['size'] = crop
        preprocessor.pop('size_divisor', None)
    backbone = model_cfg['backbone']
    if 'encoder' in backbone:
        backbone['encoder'] = without_weights(backbone['encoder'])
    model: Any = without_sync(without_values(lambda: MODELS.build(copy.deepcopy(model_cfg))))
    model.train()
    for module in modules_elsewhere(model).values():
        for store, name, tensor in slots(module):
            store[name] = nn.Parameter(tensor.detach().to(ELSEWHERE), requires_grad=False)
    return model


class _OneOfSeveral(_BatchNormXd):
    """SyncBN in one of several processes: it takes a single value per channel, as others have more."""

    def forward(self, inputs: Tensor) -> Tensor:
        if not self.training or inputs.numel() > inputs.shape[1]:
            normalised: Tensor = super().forward(inputs)
            return normalised
        return torch.batch_norm(inputs, self.weight, self.bias, None, None, True, 0.0, self.eps, True)


def without_sync(model: nn.Module) -> nn.Module:
    """Replaces SyncBN, which needs several processes, by norms that keep the same tensors."""
    model = revert_sync_batchnorm(model)
    for parent in [*model.modules()]:
        for name, norm in [*parent.named_children()]:
            if type(norm) is _BatchNormXd:
                made = _OneOfSeveral(1)
                made.__dict__.update(norm.__dict__)  # its tensors and its settings
                setattr(parent, name, made)
    return model


def without_values(build: Callable[[], nn.Module]) -> nn.Module:
    """Builds a module of fake tensors.

    A module that computes its sizes from values, as timm's RegNets do, is built with real tensors first. Then
    a fake tensor replaces each of them.
    """
    try:
        return build()
    except VALUES_NEEDED:
        with _disable_current_modes():
            model = build()
    gc.collect()  # the module begun on fake tensors
    fakes: dict[Tensor, Tensor] = {}  # some models have a tensor in two places
    for module in model.modules():
        own = vars(module)
        plain = [(own, name, value) for name, value in own.items() if isinstance(value, Tensor)]
        for store, name, tensor in [*slots(module), *plain]:
            if tensor not in fakes:
                fake = torch.empty(tensor.shape, dtype=tensor.dtype)
                is_parameter = isinstance(tensor, nn.Parameter)
                fakes[tensor] = nn.Parameter(fake, tensor.requires_grad) if is_parameter else fake
            store[name] = fakes[tensor]
    return model


def build_optimizer(cfg: Any, model: nn.Module, optimizer: dict[str, Any] | None = None) -> Any:
    """Builds an optimizer with its state, as after its first step.

    Args:
        cfg: a config, maybe with an `optim_wrapper`.
        model: the model to optimize.
        optimizer: config of the optimizer; None for that of `cfg`, or else SGD with momentum.
    """
    optimizer = dict(optimizer or (cfg.get('optim_wrapper') or {}).get('optimizer') or SGD)
    with DefaultScope.overwrite_default_scope('mmengine'):
        kind = OPTIMIZERS.get(optimizer['type'])
        if kind is not None and 'foreach' in inspect.signature(kind).parameters:
            optimizer.setdefault('foreach', True)  # what torch chooses on a GPU
        parameters = [p for p in model.parameters() if p.requires_grad]
        built: Any = OPTIMIZERS.build({**optimizer, 'params': parameters})
    for parameter in parameters:
        parameter.grad = torch.empty_like(parameter)
    built.step()
    built.zero_grad()
    return built


def fake_batch(
    batch: int, crop: tuple[int, int], tracker: StorageTracker, classifies: bool = False
) -> dict[str, Any]:
    """A collated batch as the data loader gives it; being on the CPU, it takes no GPU memory.

    Args:
        batch: number of images.
        crop: height and width of the images, in pixels.
        tracker: the tracker, which does not count the batch.
        classifies: whether each image has one label, not one per pixel.
    """
    with tracker.paused():
        return {
            'inputs': [torch.empty((3, *crop), dtype=torch.uint8) for _ in range(batch)],
            'data_samples': [_sample(crop, classifies) for _ in range(batch)],
        }


def label_of_image(label: Tensor) -> Any:
    """mmpretrain's sample for an image with a class index (1,)."""
    from mmpretrain.structures import DataSample  # slow to import, and not needed for segmentors

    return DataSample(gt_label=label)


def _sample(crop: tuple[int, int], classifies: bool) -> Any:
    if classifies:
        return label_of_image(torch.empty(1, dtype=torch.int64))
    return SegDataSample(gt_sem_seg=PixelData(data=torch.empty((1, *crop), dtype=torch.int64)))
