"""Notes when the processes of a run have found each other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mmengine.hooks import Hook
from mmengine.registry import HOOKS


@HOOKS.register_module()
class NoteMeeting(Hook):
    """Notes that the processes of a run have found each other."""

    def before_train(self, runner: Any) -> None:
        met(Path(runner.work_dir)).touch()


def met(work_dir: Path) -> Path:
    """The file that is there from then on."""
    return Path(f'{work_dir}.met')
