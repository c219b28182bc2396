"""The copy of its config that a run leaves in its work dir."""

from types import SimpleNamespace

import pytest

from infopro_seg.config_files import load_config
from infopro_seg.training.resuming.saving import SavingRunner
from tests.runs import demo


@pytest.mark.parametrize('suffix', ['.py', '.yaml', '.json'])
def test_the_copy_can_be_read_whatever_the_config_was_written_in(tmp_path, suffix):
    demo().dump(str(tmp_path / f'mine{suffix}'))
    config = load_config(tmp_path / f'mine{suffix}')
    run = tmp_path / 'run'
    run.mkdir()
    SavingRunner.dump_config(SimpleNamespace(cfg=config, work_dir=str(run), timestamp='now'))
    assert load_config(run / 'mine.py').to_dict() == config.to_dict()
