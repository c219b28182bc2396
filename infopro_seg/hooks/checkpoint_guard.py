"""Refuses checkpoints that do not fit, where mmengine would load what matches and go on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.registry import HOOKS
from torch import Tensor

from infopro_seg.errors import CheckpointError

LOCAL_HEADS = 'backbone.local_heads.'


@HOOKS.register_module()
class CheckpointGuardHook(Hook):
    """Compares every checkpoint with the model before it is loaded.

    To resume or to test, all weights must be there; only the local heads may be missing in a test. To
    start from another model's weights (`load_from`), the common ones must have the same shapes.
    """

    def after_load_checkpoint(self, runner: Any, checkpoint: dict[str, Any]) -> None:
        """Called by the runner between reading a checkpoint and loading it.

        Raises:
            CheckpointError: the checkpoint does not fit the model.
        """
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        training = runner._train_loop is not None
        require_fit(
            checkpoint.get('state_dict', checkpoint),
            model.state_dict(),
            runner._load_from or f'the latest in {runner.work_dir}',
            strict=runner._resume or not training,
            local_heads=training,
        )


def require_fit(
    given: Mapping[str, Tensor],
    expected: Mapping[str, Tensor],
    name: str,
    strict: bool = True,
    local_heads: bool = False,
) -> None:
    """Checks that a checkpoint's weights fit a model.

    Args:
        given: the checkpoint's state dict.
        expected: the model's state dict.
        name: which checkpoint, for the error message.
        strict: whether keys may be missing on either side.
        local_heads: whether the local heads count; they are of no use outside training.

    Raises:
        CheckpointError: the weights do not fit.
    """
    if not local_heads:
        given = {key: value for key, value in given.items() if not key.startswith(LOCAL_HEADS)}
        expected = {key: value for key, value in expected.items() if not key.startswith(LOCAL_HEADS)}
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
