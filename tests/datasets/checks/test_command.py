"""The command: its exit status, and what it prints and draws."""

import json
import os
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from infopro_seg.datasets.checks.command import check_dataset
from infopro_seg.datasets.checks.inspection import IGNORED, Loading, Pair
from infopro_seg.datasets.checks.samples import choose_samples
from infopro_seg.errors import UserError
from tests.datasets.checks.plants import config_of, leaf, relabel, save, truncate

ROOT = Path(__file__).parents[3]


@pytest.fixture
def config_file(root, tmp_path):
    path = tmp_path / 'my.py'
    path.write_text(config_of(leaf(root)).pretty_text)
    return path


def test_exit_status_and_files(config_file, root, tmp_path, capsys):
    out, written = tmp_path / 'out', tmp_path / 'report.json'
    relabel(7)(root)
    assert check_dataset(config_file, out=out, workers=1, json_file=written) == 1
    shown = capsys.readouterr().out
    assert f'problem: {root}/masks/2.png: holds the label ids [7]' in shown
    report = json.loads(written.read_text())
    assert [Path(item['path']).name for item in report['problems']] == ['2.png']
    assert report['pixels_outside_the_classes'] == 4
    assert (out / 'train_problems.txt').read_text().count('\n') == 1

    relabel(0)(root)
    assert check_dataset(config_file, out=out, workers=1, json_file=written) == 0
    assert json.loads(written.read_text())['problems'] == []
    assert sorted(path.name for path in out.iterdir()) == ['train_classes.png', 'train_samples.png']
    for path in out.iterdir():
        picture = cv2.imread(str(path))
        assert len(np.unique(picture[..., 0])) > 50


def test_a_dollar_in_a_name_begins_no_formula(root, tmp_path):
    for folder in ('images', 'masks'):
        (root / folder / '0.png').rename(root / folder / '$x^$.png')
    path = tmp_path / 'my.py'
    names = ('$x^$', 'leaf $', 'stem', 'root')
    path.write_text(
        config_of(leaf(root, metainfo={'classes': names, 'palette': [[0, 0, 9]] * 4})).pretty_text
    )
    assert check_dataset(path, out=tmp_path / 'out', workers=1) == 0
    assert len([*(tmp_path / 'out').iterdir()]) == 2


def test_many_problems_are_listed_in_a_file(config_file, root, tmp_path, capsys):
    for index in range(30):
        save(root / f'masks/lonely{index}.png', np.zeros((4, 4), np.uint8))
    assert check_dataset(config_file, out=tmp_path / 'out', workers=1) == 1
    assert '... and 10 more' in capsys.readouterr().out
    assert (tmp_path / 'out/train_problems.txt').read_text().count('has no image') == 30


def test_nothing_readable_is_reported_not_raised(config_file, root, tmp_path):
    for path in (*(root / 'images').iterdir(), *(root / 'masks').iterdir()):
        path.write_bytes(b'x')
    assert check_dataset(config_file, out=tmp_path / 'out', workers=1) == 1
    assert [path.name for path in (tmp_path / 'out').iterdir()] == ['train_problems.txt']


def test_out_may_not_be_a_file(config_file):
    with pytest.raises(UserError, match='is a file; name a folder'):
        check_dataset(config_file, out=config_file)


def test_help_and_workers_do_without_torch():
    code = (
        'import runpy, sys\n'
        'import infopro_seg.datasets.checks.inspection\n'
        "sys.argv = ['check_dataset.py', '--help']\n"
        'try:\n'
        f"    runpy.run_path({str(ROOT / 'tools/check_dataset.py')!r}, run_name='__main__')\n"
        'except SystemExit as end:\n'
        "    sys.exit(end.code or 'torch' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, '-c', code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert '--split' in done.stdout


def test_the_tool_exits_with_the_commands_status(config_file, root, tmp_path, monkeypatch):
    argv = ['check_dataset.py', str(config_file), '--out', str(tmp_path / 'out'), '--workers', '1']
    for damage, status in ((None, 0), (truncate, 1), (lambda _: shutil.rmtree(root), 2)):
        if damage:
            damage(root)
        monkeypatch.setattr(sys, 'argv', argv)
        with pytest.raises(SystemExit) as end:
            runpy.run_path(str(ROOT / 'tools/check_dataset.py'), run_name='__main__')
        assert end.value.code == status


def test_samples_show_rare_classes():
    loading = Loading(np.arange(256, dtype=np.uint8), 4)
    usable = []
    for index in range(40):
        present = np.zeros(256, dtype=bool)
        present[[0, IGNORED]] = True
        present[1] = index == 17
        present[2] = index in (23, 24)
        usable.append((Pair(Path(f'{index}'), None, loading), present))
    names = [int(pair.image.name) for pair in choose_samples(usable, 8)]
    assert len(names) == 8
    assert names == sorted(set(names))
    assert 17 in names
    assert {23, 24} & set(names)
    assert names[0] < 5
    assert names[-1] > 35


def test_a_name_that_is_not_in_utf_8_is_listed_as_it_is_on_the_disk(config_file, root, tmp_path):
    name = os.fsdecode(b'\xfc.png')  # in Latin-1
    for folder in ('images', 'masks'):
        (root / folder / '0.png').rename(root / folder / name)
    (root / 'masks' / name).write_bytes(b'')
    command = [sys.executable, ROOT / 'tools' / 'check_dataset.py', config_file, '--out', tmp_path / 'out']
    strict = os.environ | {'PYTHONIOENCODING': 'utf-8'}
    found = subprocess.run([*command, '--workers', '1'], capture_output=True, cwd=tmp_path, env=strict)
    assert found.returncode == 1
    assert b'Traceback' not in found.stderr
    assert b'/masks/\\udcfc.png: the label image cannot be read' in found.stdout
    assert (
        b'/masks/\xfc.png: the label image cannot be read'
        in (tmp_path / 'out/train_problems.txt').read_bytes()
    )
