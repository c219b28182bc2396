"""Makes a runner write whole files only: none is ever left half-written."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any

from mmengine.dist import is_main_process
from mmengine.fileio import LocalBackend, register_backend
from mmengine.runner import Runner

from infopro_seg.files import write_bytes, write_text
from infopro_seg.hooks.due_validation import DueValidationHook
from infopro_seg.hooks.ordered_checkpoints import in_order
from infopro_seg.hooks.recipe_change import RecipeChangeHook
from infopro_seg.hooks.training_images import TrainingImagesHook
from infopro_seg.training.interruptions.validation_guard import ValidationGuard


class WholeFileBackend(LocalBackend):
    """mmengine's access to local files, for saving checkpoints; each file is written whole or not at all."""

    def put(self, obj: bytes, filepath: str | Path) -> None:
        """Writes bytes."""
        Path(filepath).parent.mkdir(parents=True, exist_ok=True)
        write_bytes(filepath, obj)

    def put_text(self, obj: str, filepath: str | Path, encoding: str = 'utf-8') -> None:
        """Writes a text."""
        self.put(obj.encode(encoding), filepath)


register_backend('local', WholeFileBackend, force=True, prefixes='')


class SavingRunner(Runner):
    """mmengine's runner, which saves and removes checkpoints in a safe order with any checkpoint hook."""

    def register_hooks(self, default_hooks: Any = None, custom_hooks: Any = None) -> None:
        """Registers the hooks of the config, and those that exact resuming needs."""
        super().register_hooks(default_hooks, custom_hooks)
        self.register_hook(DueValidationHook())
        self.register_hook(RecipeChangeHook())
        self.register_hook(TrainingImagesHook())

    def register_hook(self, hook: Any, priority: Any = None) -> None:
        """Registers a hook; a checkpoint hook of the config is replaced by one with a safe order."""
        super().register_hook(in_order(hook), priority)

    def save_checkpoint(self, *args: Any, **kwargs: Any) -> None:
        """Saves a checkpoint of the trained weights, also in the middle of a validation."""
        with ExitStack() as weights:
            for hook in self.hooks:
                if isinstance(hook, ValidationGuard):
                    weights.enter_context(hook.as_trained())
            super().save_checkpoint(*args, **kwargs)

    def dump_config(self) -> None:
        """Writes the config into the work dir, on the first rank; as Python, also if it was YAML or JSON."""
        if not is_main_process():
            return
        name = Path(self.cfg.filename).stem if self.cfg.filename else self.timestamp
        write_text(Path(self.work_dir) / f'{name}.py', self.cfg.pretty_text)
