"""Notes in checkpoints how many images a run trains on."""

from __future__ import annotations

from typing import Any

from mmengine.hooks import Hook

IMAGES = 'training_images'


class TrainingImagesHook(Hook):
    """Says when a run is resumed with another number of training images: they come in another order then.

    Every runner of this package has this hook.
    """

    def before_save_checkpoint(self, runner: Any, checkpoint: dict[str, Any]) -> None:
        """Called by the runner before a checkpoint is written."""
        count = _images(runner)
        if count is not None:
            checkpoint['meta'][IMAGES] = count

    def after_load_checkpoint(self, runner: Any, checkpoint: dict[str, Any]) -> None:
        """Called by the runner between reading a checkpoint and loading it."""
        before, now = (checkpoint.get('meta') or {}).get(IMAGES), _images(runner)
        if runner._resume and None not in (before, now) and before != now:
            runner.logger.warning(
                f'the train split has {now} images, and had {before} in the run that is resumed: from here '
                'on they come in another order than in a training without a stop'
            )


def _images(runner: Any) -> int | None:
    """The number of training images; None without a training, or if a data set does not know it."""
    loader = getattr(runner._train_loop, 'dataloader', None)
    dataset: Any = getattr(loader, 'dataset', None)
    return len(dataset) if hasattr(dataset, '__len__') else None
