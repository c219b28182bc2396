"""Refuses checkpoints that do not fit, where mmengine would load what matches and go on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mmengine.hooks import Hook
from mmengine.model import BaseTTAModel, is_model_wrapper
from mmengine.registry import HOOKS
from torch import Tensor, nn

from infopro_seg.errors import CheckpointError
from infopro_seg.models.backbone import InfoProBackbone

LOCAL_HEADS = 'backbone.local_heads.'


@HOOKS.register_module()
class CheckpointGuardHook(Hook):
    """Compares every checkpoint with the model before it is loaded.

    To resume or to test, all weights must be there; for a test without the local heads, which are
    dropped. To start from another model's weights (`load_from`), the common ones must have the same shapes.
    """

    def after_load_checkpoint(self, runner: Any, checkpoint: dict[str, Any]) -> None:
        """Called by the runner between reading a checkpoint and loading it.

        Raises:
            CheckpointError: the checkpoint does not fit the model.
        """
        model = runner.model
        while is_model_wrapper(model) or isinstance(model, BaseTTAModel):
            model = model.module
        training = runner._train_loop is not None
        if not training:
            drop_local_heads(model, checkpoint)
        require_fit(
            checkpoint.get('state_dict', checkpoint),
            model.state_dict(),
            runner._load_from or f'the latest in {runner.work_dir}',
            strict=runner._resume or not training,
        )


def drop_local_heads(model: nn.Module, checkpoint: dict[str, Any]) -> None:
    """Takes the local heads, which only train, out of a model and a checkpoint, in place."""
    backbone: Any = getattr(model, 'backbone', None)
    if isinstance(backbone, InfoProBackbone):
        backbone.local_heads = nn.ModuleList()
    state_dict = checkpoint.get('state_dict', checkpoint)
    for key in [key for key in state_dict if key.startswith(LOCAL_HEADS)]:
        del state_dict[key]


def require_fit(
    given: Mapping[str, Tensor],
    expected: Mapping[str, Tensor],
    name: str,
    strict: bool = True,
) -> None:
    """Checks that a checkpoint's weights fit a model.

    Args:
        given: the checkpoint's state dict.
        expected: the model's state dict.
        name: which checkpoint, for the error message.
        strict: whether keys may be missing on either side.

    Raises:
        CheckpointError: the weights do not fit.
    """
    common = given.keys() & expected.keys()
    shapes = sorted(key for key in common if given[key].shape != expected[key].shape)
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
            'trained with (it lies beside the checkpoint), or another checkpoint'
        )
