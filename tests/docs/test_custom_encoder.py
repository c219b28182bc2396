"""The code of docs/custom_encoder.md does what the page says."""

import re
import runpy
import sys
from pathlib import Path

import pytest

from infopro_seg.config_files import load_config
from infopro_seg.memory.tracing.list_blocks import list_blocks
from infopro_seg.models import iter_blocks
from tests.stand_ins import build, make_batch, preprocessed, summed

PAGE = Path(__file__).parents[2] / 'docs' / 'custom_encoder.md'


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """The files of the page; blocks that name the same file follow one another in it."""
    folder = tmp_path_factory.mktemp('page')
    for name, code in re.findall(r'```python\n# (\w+\.py)\n(.*?)```', PAGE.read_text(), re.DOTALL):
        with (folder / name).open('a') as file:
            file.write(code)
    sys.path.insert(0, str(folder))
    yield folder
    sys.path.remove(str(folder))
    sys.modules.pop('my_encoder')


def test_every_code_block_names_its_file(folder):
    assert PAGE.read_text().count('```python') == 4
    assert sorted(path.name for path in folder.iterdir()) == ['check.py', 'my_config.py', 'my_encoder.py']


def test_the_rule_has_five_to_fifteen_lines(folder):
    rule = (folder / 'my_encoder.py').read_text().partition('@iter_blocks.register')[2]
    assert 5 <= len(rule.strip().splitlines()) <= 15


def test_the_check_passes(folder):
    runpy.run_path(str(folder / 'check.py'))


def test_the_config_trains_every_parameter(folder):
    model = build(load_config(folder / 'my_config.py').model)
    losses = list(model.local_losses(*preprocessed(model, make_batch(size=(64, 128)))))
    assert [sorted(part)[0].split('.')[0].split('_')[0] for part in losses] == ['local', 'decode']
    sum(summed(part) for part in losses).backward()
    assert [name for name, parameter in model.named_parameters() if parameter.grad is None] == []


def test_its_blocks_are_listed(folder, capsys):
    list_blocks(folder / 'my_config.py', batch=4)
    shown = capsys.readouterr().out
    assert '4 blocks of MyEncoder: batch 4, crop 64x128' in shown
    encoder = build(load_config(folder / 'my_config.py').model).backbone.encoder
    assert all(block.name in shown for block in iter_blocks(encoder))
