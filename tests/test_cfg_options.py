"""`--cfg-options` changes what every tool does, and an override that nothing reads is an error."""

import json
import runpy
import sys

import pytest

from infopro_seg.config_files import load_config
from tests.runs import DEMO, tiny_options, write_config

WIDE = 'model.decode_head.channels=256'
TOOLS = {
    'plan': ('CONFIG',),
    'benchmark': ('CONFIG', '--out', 'DIR'),
    'check_dataset': ('CONFIG',),
    'list_blocks': ('CONFIG',),
    'probe': ('CONFIG', 'CKPT', '--out', 'DIR'),
    'predict': ('CONFIG', 'CKPT', 'IMAGE', '--out', 'DIR'),
}


def run(monkeypatch, *arguments):
    monkeypatch.setattr(sys, 'argv', ['infopro_seg', *map(str, arguments)])
    with pytest.raises(SystemExit) as done:
        runpy.run_module('infopro_seg', run_name='__main__')
    return done.value.code


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize('tool', TOOLS)
@pytest.mark.parametrize(
    ('option', 'message'), [('modle.type=X', 'did you mean model?'), ('num_classes=7', 'already used')]
)
def test_an_override_that_nothing_reads_is_refused(monkeypatch, capsys, folder, tool, option, message):
    given = [str(DEMO) if argument == 'CONFIG' else argument for argument in TOOLS[tool]]
    assert run(monkeypatch, tool, *given, '--cfg-options', option) == 2
    assert message in capsys.readouterr().err
    assert [*folder.iterdir()] == []


def test_a_plan_is_of_the_config_with_its_overrides(monkeypatch, folder):
    command = ('plan', DEMO, '--modules', 1, '--batch', 2)
    assert run(monkeypatch, *command, '--json', 'own.json') == 0
    assert run(monkeypatch, *command, '--json', 'wide.json', '--cfg-options', WIDE) == 0
    options = {'model.decode_head.channels': 256}
    load_config(DEMO, options).dump(folder / 'wide.py')
    assert run(monkeypatch, 'plan', 'wide.py', *command[2:], '--json', 'expected.json') == 0
    own, wide, expected = (
        json.loads((folder / f'{name}.json').read_text()) for name in ('own', 'wide', 'expected')
    )
    assert own != wide == expected


def test_a_written_config_has_the_overrides_it_was_planned_with(monkeypatch, folder):
    command = ('plan', DEMO.stem, '--modules', 1, '--budget', '40GiB', '--write-config', 'new.py')
    assert run(monkeypatch, *command, '--cfg-options', WIDE) == 0
    written, own = load_config(folder / 'new.py'), load_config(DEMO)
    assert written.model.decode_head == {**own.model.decode_head, 'channels': 256}
    assert written.train_dataloader == own.train_dataloader


def test_an_inference_plan_and_a_plan_of_processes_take_overrides(monkeypatch, folder):
    for more in (('--inference', '--size', 64, 128), ('--module-parallel', '--modules', 2)):
        rows = {}
        for name, options in {'own': (), 'wide': ('--cfg-options', WIDE)}.items():
            run(monkeypatch, 'plan', DEMO, *more, '--json', f'{name}.json', *options)
            rows[name] = json.loads((folder / f'{name}.json').read_text())
        assert rows['own'] != rows['wide']


def test_a_check_reads_the_data_that_the_overrides_name(monkeypatch, streets, folder):
    config = write_config(folder / 'tiny.py', tiny_options(folder / 'nowhere'))
    name = f'train_dataloader.dataset.data_root={streets}'
    assert run(monkeypatch, 'check_dataset', config, '--out', 'pictures', '--cfg-options', name) == 0
    assert (folder / 'pictures/train_samples.png').is_file()
