"""Rejects checkpoints that do not match; mmengine alone would load what matches and go on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mmengine.hooks import Hook
from mmengine.model import BaseTTAModel, is_model_wrapper
from mmengine.registry import HOOKS
from torch import Tensor, nn

from infopro_seg.checkpoints import unwrap
from infopro_seg.errors import CheckpointError
from infopro_seg.models.backbone import InfoProBackbone
from infopro_seg.models.state_dict import TRAINING_ONLY

TRAINED = ('weight', 'bias', 'running_mean', 'running_var')  # ends of names
LOCAL_HEADS = tuple(f'backbone.{name}' for name in TRAINING_ONLY)  # with their momentum blocks


@HOOKS.register_module()
class CheckpointGuardHook(Hook):
    """Compares every checkpoint with the model before it is loaded.

    To resume, all weights must match. To test, all must match except those of local heads, which are
    dropped. To start from another model's weights (`load_from`, e.g. a stock mmseg checkpoint), encoder, neck
    and heads must match. Layers whose size depends on the number of classes, and local heads of other cuts,
    are re-initialised, and the log says so.

    Args:
        allow_partial: whether `load_from` may name a checkpoint in which other weights are missing or
            additional; only the common ones are loaded.
    """

    def __init__(self, allow_partial: bool = False) -> None:
        self.allow_partial = allow_partial

    def after_load_checkpoint(self, runner: Any, checkpoint: dict[str, Any]) -> None:
        """Called by the runner between reading a checkpoint and loading it.

        Raises:
            CheckpointError: the checkpoint does not match the model.
        """
        model = runner.model
        while is_model_wrapper(model) or isinstance(model, BaseTTAModel):
            model = model.module
        name = runner._load_from or f'the latest in {runner.work_dir}'
        unwrap(checkpoint, name)
        training = runner._train_loop is not None
        if not training:
            drop_local_heads(model, checkpoint)
        if runner._resume or not training:
            loop = getattr(runner, '_train_loop' if training else '_test_loop', None)
            data = getattr(getattr(loop, 'dataloader', None), 'dataset', None)
            require_classes(checkpoint, getattr(data, 'metainfo', {}).get('classes'), name)
            require_fit(checkpoint.get('state_dict', checkpoint), model.state_dict(), name)
            return
        renewed = fit_start(checkpoint, model.state_dict(), name, self.allow_partial)
        if renewed:
            runner.logger.warning(f'{len(renewed)} weights are not taken from {name}: {", ".join(renewed)}')


def fit_start(
    checkpoint: dict[str, Any], expected: Mapping[str, Tensor], name: str, allow_partial: bool = False
) -> list[str]:
    """Checks a checkpoint to start from, and removes from it the weights to re-initialise, in place.

    Args:
        checkpoint: a checkpoint, or only a state dict.
        expected: the model's state dict.
        name: name of the checkpoint, for the error message.
        allow_partial: whether other weights may also be missing on either side.

    Returns:
        The names of weights that are not used: of layers for another number of classes, and of local heads
        that the model does not have.

    Raises:
        CheckpointError: other weights are missing or differ in shape.
    """
    state_dict = checkpoint.get('state_dict', checkpoint)
    delta = _class_difference(state_dict, expected)
    renewed = [
        key
        for key, value in state_dict.items()
        if (key not in expected and key.startswith(LOCAL_HEADS))
        or (key in expected and _starts_anew(key, value.shape, expected[key].shape, delta))
    ]
    for key in renewed:
        del state_dict[key]
    anew = {*renewed, *(key for key in expected if key.startswith(LOCAL_HEADS) and key not in state_dict)}
    wanted = {key: value for key, value in expected.items() if key not in anew}
    require_finite(state_dict, wanted, name)
    try:
        require_fit(state_dict, wanted, name, strict=not allow_partial)
    except CheckpointError as error:
        remedy = '; to load only what they have in common, give CheckpointGuardHook allow_partial=True'
        raise CheckpointError(f'{error}{"" if allow_partial else remedy}') from error
    return sorted(renewed)


def _class_difference(given: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> int:
    """How many more classes the model has than the checkpoint; 0 if their decode heads do not show it."""
    keys = [key for key in expected if key.startswith('decode_head.') and key.endswith('conv_seg.bias')]
    return next((len(expected[key]) - len(given[key]) for key in keys if key in given), 0)


def _starts_anew(key: str, given: Sequence[int], expected: Sequence[int], classes: int) -> bool:
    """Whether a weight may have another shape: in a local head, or in a layer sized by the classes."""
    if tuple(given) == tuple(expected):
        return False
    if key.startswith(LOCAL_HEADS):
        return True
    differences = {b - a for a, b in zip(given, expected, strict=False)}
    return classes != 0 and len(given) == len(expected) and differences <= {0, classes}


def drop_local_heads(model: nn.Module, checkpoint: dict[str, Any]) -> None:
    """Removes the local heads, which only training needs, from a model and a checkpoint, in place."""
    backbone: Any = getattr(model, 'backbone', None)
    if isinstance(backbone, InfoProBackbone):
        backbone.local_heads, backbone.momentum_blocks = nn.ModuleList(), None
    state_dict = checkpoint.get('state_dict', checkpoint)
    for key in [key for key in state_dict if key.startswith(LOCAL_HEADS)]:
        del state_dict[key]


def require_finite(given: Mapping[str, Tensor], expected: Mapping[str, Tensor], name: str) -> None:
    """Checks that no weight of a checkpoint is NaN or infinite, if that of the model is not.

    A buffer may be infinite, as masks and observed extremes are; only the statistics of norms may not.

    Raises:
        CheckpointError: a weight is not finite.
    """
    infinite = sorted(
        key
        for key in given
        if key in expected
        and not _finite(given[key])
        and _finite(expected[key])
        and (key.endswith(TRAINED) or bool(given[key].isnan().any()))
    )
    if infinite:
        raise CheckpointError(
            f'the checkpoint {name} holds {len(infinite)} weights that are NaN or infinite, e.g. '
            f'{infinite[0]}: its training has diverged; use an earlier checkpoint'
        )


def _finite(weight: Any) -> bool:
    """Whether all values of a weight are finite; what holds no numbers, or odd ones, counts as finite."""
    if not isinstance(weight, Tensor) or weight.is_meta or weight.is_quantized:
        return True
    return bool((weight if weight.element_size() > 1 else weight.float()).isfinite().all())


def _shape(weight: Any) -> Any:
    """The shape of a weight; None of another state that a module keeps."""
    return getattr(weight, 'shape', None)


def require_classes(checkpoint: Mapping[str, Any], classes: Sequence[str] | None, name: str) -> None:
    """Checks that a network was trained on the classes of the data, in the same order.

    Other names are no fault: the same class may have other names in other data.

    Args:
        checkpoint: the checkpoint, whose `meta` may name the classes.
        classes: the classes of the data; None if they are unknown.
        name: name of the checkpoint, for the error message.

    Raises:
        CheckpointError: the classes are the same in another order.
    """
    trained = trained_classes(checkpoint)
    if trained and classes and list(trained) != list(classes) and sorted(trained) == sorted(classes):
        raise CheckpointError(
            f'the checkpoint {name} was trained on the classes {", ".join(trained)}, which the data set '
            f'has in another order: {", ".join(classes)}; give the data set the order of the checkpoint'
        )


def trained_classes(checkpoint: Mapping[str, Any]) -> tuple[str, ...]:
    """The classes that a checkpoint names; none if it names none."""
    meta = checkpoint.get('meta') or {}
    return tuple((meta.get('dataset_meta') or {}).get('classes') or meta.get('CLASSES') or ())


def require_fit(
    given: Mapping[str, Tensor],
    expected: Mapping[str, Tensor],
    name: str,
    strict: bool = True,
) -> None:
    """Checks that a checkpoint's weights match a model.

    Args:
        given: the checkpoint's state dict.
        expected: the model's state dict.
        name: name of the checkpoint, for the error message.
        strict: whether all keys must be on both sides.

    Raises:
        CheckpointError: the weights do not match, or are not finite.
    """
    require_finite(given, expected, name)
    common = given.keys() & expected.keys()
    shapes = sorted(key for key in common if _shape(given[key]) != _shape(expected[key]))
    problems = []
    if shapes:
        key = shapes[0]
        problems.append(
            f'{len(shapes)} weights have other shapes, e.g. {key} {tuple(given[key].shape)} in place of '
            f'{tuple(expected[key].shape)}'
        )
    if strict:
        missing = sorted(key for key in expected.keys() - common if not key.endswith('num_batches_tracked'))
        unexpected = sorted(given.keys() - common)
        if missing:
            problems.append(f'{len(missing)} weights are missing, e.g. {missing[0]}')
        if unexpected:
            problems.append(f'{len(unexpected)} weights are not in the model, e.g. {unexpected[0]}')
    elif not common:
        problems.append(f'it shares no weight with the model (its first is {next(iter(given), "none")})')
    if problems:
        raise CheckpointError(
            f'the checkpoint {name} is of another model: {"; ".join(problems)}. Use the config that it was '
            'trained with (it is beside the checkpoint), or another checkpoint'
        )
