"""The commands that a comparison trains with."""

import argparse
from pathlib import Path
from types import SimpleNamespace

import pytest

from infopro_seg.comparison import trainings
from infopro_seg.comparison.suite import Run
from infopro_seg.options import add_cfg_options


@pytest.mark.parametrize('name', ['out', 'my out', 'a,b', 'a, b'])
def test_a_training_starts_from_the_initial_weights_whatever_the_folder_is_called(
    tmp_path, monkeypatch, name
):
    commands = []

    def note(command, **_):
        commands.append(command)
        return SimpleNamespace(returncode=1)

    monkeypatch.setattr(trainings, 'subprocess', SimpleNamespace(run=note))
    run, out = Run('e2e', 1, 3), tmp_path / name
    assert trainings.train_all({run: Path('e2e.py')}, out, 1, lambda line: None) == [run]
    parser = argparse.ArgumentParser()
    add_cfg_options(parser)
    [command] = commands
    given, _ = parser.parse_known_args(command[command.index('--cfg-options') :])
    assert given.cfg_options == {'load_from': str(out / 'initial_seed3.pth')}
