"""Values that the shell leaves to the tools: empty ones, as where a variable is not set, and `~`."""

import subprocess
import sys

import pytest
from mmengine.config import Config

from infopro_seg.cli import FAILED, run
from infopro_seg.config_files import work_dir_of
from infopro_seg.datasets.building import build_leaf
from infopro_seg.errors import ConfigError, DataError
from infopro_seg.training.launch import train
from tests.runs import DEMO, ROOT, tiny_options


@pytest.mark.parametrize(
    ('tool', 'arguments', 'named'),
    [
        ('train', ['config.py', '--resume', ''], 'the argument after --resume'),
        ('train', ['config.py', '--amp', ''], 'the argument after --amp'),
        ('train', ['config.py', '--work-dir='], '--work-dir'),
        ('train', ['', '--amp'], 'the argument after'),
        ('predict', ['config.py', 'a.pth', ' ', '--out', 'out'], 'the argument after a.pth'),
        ('predict', ['config.py', 'a.pth', 'a.png', '--out', ''], 'the argument after --out'),
    ],
)
def test_an_empty_value_is_refused(tmp_path, tool, arguments, named):
    command = [sys.executable, str(ROOT / 'tools' / f'{tool}.py'), *arguments]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == FAILED, done.stderr
    assert done.stderr.startswith(f'error: {named}')
    assert 'is empty; give it a value' in done.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ('given', 'read'),
    [
        ('--out=~/a', '--out=/home/me/a'),
        ('load_from=~/a b', 'load_from=/home/me/a b'),
        ('~', '/home/me'),
        ('~a', '~a'),
        ('a~/b', 'a~/b'),
        ('--out=a', '--out=a'),
    ],
)
def test_the_home_is_put_in_where_the_shell_leaves_it_out(monkeypatch, given, read):
    monkeypatch.setenv('HOME', '/home/me')
    monkeypatch.setattr(sys, 'argv', ['tool.py', given])
    with pytest.raises(SystemExit):
        run(lambda: None)
    assert sys.argv == ['tool.py', read]


def test_a_config_may_name_the_home(monkeypatch):
    monkeypatch.setenv('HOME', '/home/me')
    assert work_dir_of(Config({'work_dir': '~/runs'}), None) == '/home/me/runs'
    data = {'type': 'BaseSegDataset', 'data_root': '~/data', 'data_prefix': {'img_path': 'a'}}
    with pytest.raises(DataError, match='no folder ~/data/a; ~ is not replaced here: write the whole path'):
        build_leaf(data, 'train', None)


def test_a_work_dir_whose_name_is_no_text_is_named():
    with pytest.raises(ConfigError, match=r"work dir 'w\\udce9' is not in UTF-8, .*; name another, or set"):
        work_dir_of(Config(), 'w\udce9')


def test_an_override_may_be_empty():
    code = 'from infopro_seg.cli import run; run(lambda: print("ran"))'
    command = [sys.executable, '-c', code, '--cfg-options', 'train_dataloader.dataset.ann_file=']
    assert subprocess.run(command, capture_output=True, text=True).stdout == 'ran\n'


@pytest.mark.parametrize('key', ['load_from', 'resume'])
def test_a_start_without_a_name_is_refused(streets, tmp_path, key):
    with pytest.raises(ConfigError, match=f'{key} of the config is empty; name a checkpoint'):
        train(DEMO, work_dir=str(tmp_path), options=tiny_options(streets, **{key: ''}))
