"""mmengine's checkpoint hook with a safe order: a kill at any moment loses no checkpoint."""

from __future__ import annotations

import re
from collections import deque
from inspect import isclass
from pathlib import Path
from typing import Any

from mmengine.dist import is_main_process
from mmengine.hooks import CheckpointHook
from mmengine.registry import HOOKS

from infopro_seg.checkpoints import LAST_CHECKPOINT
from infopro_seg.files import write_text
from infopro_seg.hooks.pending_gradients import average_gradients

OUTDATED = 'outdated_checkpoints'


class OrderedCheckpointHook(CheckpointHook):
    """`CheckpointHook` that removes an older file only when the newer one is complete and noted.

    Every checkpoint lists the files that it makes outdated. If a run is killed before it removes them, it
    removes them when it is resumed. It touches only files in the hook's own folder, also if the folder was
    moved or copied. In distributed training, all ranks average accumulated gradients before each save.

    Configs do not name this hook: :func:`in_order` builds it in place of the hook that a config names.
    """

    keep_ckpt_ids: deque[int]
    file_backend: Any

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.outdated: list[str] = []  # names of files to remove when a newer one is complete and noted

    def before_train(self, runner: Any) -> None:
        """Prepares the folder and, after a resume, the names of files from the checkpoint."""
        super().before_train(runner)
        if not runner._resume:
            return
        hub = runner.message_hub
        numbers = self.interval > 0 or self.save_last  # or it saves the best alone, also from here on
        if numbers and 'last_ckpt' in hub.runtime_info:  # a validation that is due records its score there
            self.last_ckpt = self._path(hub.get_info('last_ckpt'))
        if self.save_best is not None and 'auto' not in self.key_indicators:
            self._take_over_best(runner)
        resumed = Path(runner._load_from).parent if runner._load_from else Path(runner.work_dir)
        if resumed.absolute() != Path(self.out_dir).absolute():
            self.outdated.clear()  # files of another folder, which is left alone
        self._remove_outdated()

    def before_save_checkpoint(self, runner: Any, checkpoint: dict[str, Any]) -> None:
        """Lists in the checkpoint the files that it makes outdated."""
        checkpoint[OUTDATED] = list(self.outdated)

    def after_load_checkpoint(self, runner: Any, checkpoint: dict[str, Any]) -> None:
        """Takes over the names of outdated files, on resuming only."""
        self.outdated = list(checkpoint.get(OUTDATED, ())) if runner._resume else []

    def _save_checkpoint_with_step(self, runner: Any, step: int, meta: dict[str, Any]) -> None:
        """Saves a checkpoint; called on all ranks."""
        average_gradients(runner)
        self.save(runner, step, meta)

    def save(self, runner: Any, step: int, meta: dict[str, Any]) -> None:
        """Saves a checkpoint, notes it as the latest, and then removes what it makes outdated.

        Args:
            runner: the runner.
            step: the number in its name.
            meta: numbers of completed epochs and iterations.
        """
        if self.max_keep_ckpts > 0:
            ids = [*(number for number in self.keep_ckpt_ids if number != step), step]
            self.outdated += [self.filename_tmpl.format(number) for number in ids[: -self.max_keep_ckpts]]
            self.keep_ckpt_ids = deque(ids[-self.max_keep_ckpts :], self.max_keep_ckpts)
            runner.message_hub.update_info('keep_ckpt_ids', list(self.keep_ckpt_ids))
        name = self.filename_tmpl.format(step)
        self.last_ckpt = self._path(name)
        runner.message_hub.update_info('last_ckpt', self.last_ckpt)
        runner.save_checkpoint(
            self.out_dir,
            name,
            self.file_client_args,
            save_optimizer=self.save_optimizer,
            save_param_scheduler=self.save_param_scheduler,
            meta=meta,
            by_epoch=self.by_epoch,
            backend_args=self.backend_args,
            **self.args,
        )
        if is_main_process():
            write_text(Path(runner.work_dir) / LAST_CHECKPOINT, self.last_ckpt)
        self._remove_outdated()

    def _save_best_checkpoint(self, runner: Any, metrics: dict[str, Any]) -> None:
        """Saves the best checkpoint, then removes the previous best; if saving fails, that one stays."""
        if self.save_best is not None and 'auto' in self.key_indicators:  # mmengine takes the first metric
            self._init_rule(self.rules, [next(iter(metrics))])
            self._take_over_best(runner)
        backend, before = self.file_backend, list(self.outdated)
        self.file_backend = _Postponing(backend, self.outdated)
        try:
            super()._save_best_checkpoint(runner, metrics)
        except BaseException:
            self.outdated = before
            raise
        finally:
            self.file_backend = backend
        self._remove_outdated()

    def _remove_outdated(self) -> None:
        """Removes the files that a newer one has made outdated."""
        backend = getattr(self.file_backend, 'postponed', self.file_backend)
        for path in map(self._path, self.outdated if is_main_process() else ()):
            if backend.isfile(path):
                backend.remove(path)
            elif backend.isdir(path):  # of DeepSpeed
                backend.rmtree(path)
        self.outdated.clear()

    def _take_over_best(self, runner: Any) -> None:
        """Takes over the best checkpoints of a resumed run, but not those by a metric of another name."""
        hub = runner.message_hub
        names = [name for name in hub.runtime_info if name.startswith(('best_ckpt', 'best_score'))]
        found: dict[str, tuple[Any, Any]] = {}
        for suffix in {re.sub('^best_(ckpt|score)', '', name) for name in names}:
            score, path = (hub.pop_info(f'best_{kind}{suffix}') for kind in ('score', 'ckpt'))
            found[suffix[1:] or self._metric_of(path)] = score, path
        for name in names:
            hub._resumed_keys.pop(name, None)
        single = len(self.key_indicators) == 1
        new = [key for key in self.key_indicators if key not in found]
        for key in self.key_indicators:
            score, path = found.get(key, (None, None))
            suffix, own = '' if single else f'_{key}', self._own_best(runner, path)
            if score is not None:  # by update_info alone, checkpoints keep them
                hub.update_info(f'best_score{suffix}', score)
                hub.update_info(f'best_ckpt{suffix}', own or path)  # whose name tells the metric
            if single:
                self.best_ckpt_path = own
            else:
                self.best_ckpt_path_dict[key] = own
        if found and new:
            runner.logger.warning(
                f'the best checkpoints so far are by {", ".join(sorted(found))}, and save_best now has '
                f'{", ".join(new)}: the best by that is sought among the validations from here on'
            )

    def _metric_of(self, path: str | None) -> str:
        """The metric in the name of a best checkpoint, `best_METRIC_iter_8.pth`; if unclear, that of now."""
        number = re.escape(self.filename_tmpl).replace(r'\{\}', r'\d+')
        name = re.fullmatch(f'best_(.+)_{number}', Path(path or '').name)
        if name is None:
            return str(self.key_indicators[0])
        return next((key for key in self.key_indicators if key.replace('/', '_') == name[1]), name[1])

    def _own_best(self, runner: Any, path: str | None) -> str | None:
        """The file of the best checkpoint in this hook's folder."""
        own = path and self._path(path)
        if own and not self.file_backend.isfile(own):
            runner.logger.warning(
                f'the best checkpoint so far, {path}, is not in {self.out_dir}; only a better one is saved'
            )
            return None
        return own

    def _path(self, name: str) -> str:
        """The path of a file with this name in the hook's own folder."""
        return str(self.file_backend.join_path(self.out_dir, Path(name).name))


class _Postponing:
    """A storage backend that notes files to remove instead of removing them."""

    def __init__(self, postponed: Any, noted: list[str]) -> None:
        self.postponed, self.noted = postponed, noted

    def __getattr__(self, name: str) -> Any:
        return getattr(self.postponed, name)

    def remove(self, path: str) -> None:
        self.noted.append(Path(path).name)

    rmtree = remove


def in_order(hook: Any) -> Any:
    """The config of a hook; if it names a checkpoint hook, an ordered one is built in its place.

    A user's own class keeps what it overrides, and its calls of `super()` reach the ordered hook. A hook that
    is already built is returned unchanged.
    """
    if not isinstance(hook, dict):
        return hook
    own = hook.get('type')
    if isinstance(own, str):
        with HOOKS.switch_scope_and_registry(None) as registry:
            own = registry.get(own)
    if not isclass(own) or not issubclass(own, CheckpointHook) or issubclass(own, OrderedCheckpointHook):
        return hook
    bases = (OrderedCheckpointHook,) if own is CheckpointHook else (own, OrderedCheckpointHook)
    return {**hook, 'type': type(own.__name__, bases, {})}  # messages name what the config names


def save_unfinished(runner: Any) -> str | None:
    """Saves the state of an unfinished run where `--resume` finds it.

    Call it on the first rank alone or on all ranks, after `average_gradients` if gradients wait.

    Returns:
        The path of the checkpoint; None if the training has not begun.
    """
    own: Any = next((hook for hook in runner.hooks if isinstance(hook, OrderedCheckpointHook)), None)
    hook = own
    if own is None or own.by_epoch:
        hook = OrderedCheckpointHook(by_epoch=False)
        hook.before_train(runner)
    if hook is not own and hasattr(own, 'file_backend'):  # where --resume looks for it
        hook.out_dir, hook.file_backend = own.out_dir, own.file_backend
    if runner.iter == 0 or not hasattr(hook, 'file_backend'):
        return None
    hook.save_optimizer = hook.save_param_scheduler = True  # or it could not be resumed
    hook.save(runner, runner.iter, {'epoch': runner.epoch, 'iter': runner.iter})
    return str(hook.last_ckpt)
