import json
import os
import runpy
import shutil
import subprocess
import sys

import pytest

from infopro_seg.cli import FAILED, FAULT, INTERRUPTED, run
from infopro_seg.errors import DataError, UserError
from infopro_seg.faults import message_of
from tests.runs import ROOT, images, read_png, tiny_options, write_config

TOOLS = sorted(path.name for path in (ROOT / 'tools').glob('*.py'))

HELP = """
import contextlib, io, json, runpy, sys
told = {}
for tool in sys.argv[1:]:
    text, sys.argv = io.StringIO(), [tool, '--help']
    with contextlib.redirect_stdout(text):
        try:
            runpy.run_path(tool, run_name='__main__')
        except SystemExit as exit:
            status = exit.code
    slow = [name for name in ('torch', 'mmseg', 'mmcv', 'cv2') if name in sys.modules]
    told[tool.rpartition('/')[2]] = [status, text.getvalue(), slow]
print(json.dumps(told))
"""


@pytest.fixture(scope='module')
def told():
    tools = [str(ROOT / 'tools' / name) for name in TOOLS]
    done = subprocess.run([sys.executable, '-c', HELP, *tools], text=True, capture_output=True, cwd='/')
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def call(tool, *arguments, monkeypatch):
    """Runs a tool as the command line does, in this process; returns its exit status."""
    monkeypatch.setattr(sys, 'argv', [tool, *map(str, arguments)])
    with pytest.raises(SystemExit) as exited:
        runpy.run_path(str(ROOT / 'tools' / tool), run_name='__main__')
    return exited.value.code


@pytest.mark.parametrize('tool', TOOLS)
def test_help_is_there_at_once(told, tool):
    """Without importing torch or mmseg, which takes seconds."""
    status, text, loaded = told[tool]
    assert status in (0, None)
    assert text.startswith('usage: ')
    assert not {'torch', 'mmseg'} & set(loaded)


@pytest.mark.parametrize('tool', ['dist_train.sh', 'dist_test.sh'])
def test_the_distributed_tools_say_how_they_are_called(tool):
    done = subprocess.run(['bash', str(ROOT / 'tools' / tool)], text=True, capture_output=True)
    assert done.returncode != 0
    assert f'usage: tools/{tool} CONFIG' in done.stderr


def test_missing_data_is_one_message_without_a_traceback(tmp_path):
    config = write_config(tmp_path / 'tiny.py', tiny_options(tmp_path / 'nowhere'))
    done = subprocess.run(
        [sys.executable, 'tools/train.py', str(config), '--work-dir', str(tmp_path / 'run')],
        cwd=ROOT,
        env={**os.environ, 'PYTHONPATH': str(ROOT)},
        text=True,
        capture_output=True,
    )
    assert done.returncode == FAILED
    [line] = done.stderr.splitlines()
    assert line.startswith(
        f'error: the train data is missing: no folder {tmp_path}/nowhere/leftImg8bit/train; to get it: '
    )
    assert done.stdout == ''


def test_predict_py_tells_by_its_exit_status_what_it_skipped(streets, lively, tmp_path, monkeypatch):
    config = write_config(tmp_path / 'tiny.py', tiny_options(streets, results=True))
    image = images(streets, 'val')[0]
    (tmp_path / 'broken.png').write_text('no image')
    for given, status in (
        ([image], 0),
        ([tmp_path / 'broken.png', image], 1),
        ([tmp_path / 'none.png'], FAILED),
    ):
        out = tmp_path / f'out{status}'
        assert call('predict.py', config, lively, *given, '--out', out, monkeypatch=monkeypatch) == status
        assert (out / f'{image.stem}_labels.png').is_file() == (status != FAILED)


def test_test_py_writes_scores_and_label_images(streets, lively, tmp_path, monkeypatch):
    config = write_config(tmp_path / 'tiny.py', tiny_options(streets, results=True))
    arguments = ('--work-dir', tmp_path, '--json', tmp_path / 'out.json', '--out', tmp_path / 'labels')
    slide = (
        '--cfg-options',
        'model.test_cfg.mode=slide',
        'model.test_cfg.crop_size=(32,64)',
        'model.test_cfg.stride=(24,48)',
    )
    assert call('test.py', config, lively, *arguments, *slide, monkeypatch=monkeypatch) == 0
    assert 0 < json.loads((tmp_path / 'out.json').read_text())['mIoU'] < 1
    for image in images(streets, 'val'):
        assert read_png(tmp_path / 'labels' / image.parent.name / image.name).shape == (64, 128)


def test_export_py_names_what_it_wrote(checkpoint, tmp_path, monkeypatch, capsys):
    plain = tmp_path / 'plain.pth'
    assert call('export.py', checkpoint, '--out', plain, monkeypatch=monkeypatch) == 0
    assert plain.is_file()
    assert f'{plain} and {tmp_path / "plain.py"}: ' in capsys.readouterr().out
    assert call('export.py', checkpoint, '--out', tmp_path / 'plain.py', monkeypatch=monkeypatch) == FAILED


def test_train_py_takes_mmseg_s_options(streets, tmp_path, monkeypatch):
    config = write_config(tmp_path / 'tiny.py', {**tiny_options(streets), 'train_cfg.max_iters': 1})
    arguments = (config, '--work-dir', tmp_path / 'run', '--seed', 3, '--auto-scale-lr', '--amp')
    assert (
        call(
            'train.py', *arguments, '--cfg-options', 'optim_wrapper.optimizer.lr=0.5', monkeypatch=monkeypatch
        )
        == 0
    )
    [written] = (tmp_path / 'run').glob('*.py')
    text = written.read_text()
    assert 'lr=0.5' in text
    assert 'CPUAmpOptimWrapper' in text
    assert 'seed=3' in text
    assert (tmp_path / 'run' / 'last_checkpoint').read_text().endswith('iter_1.pth')
    shutil.rmtree(tmp_path / 'run')


@pytest.mark.parametrize(
    ('main', 'status', 'told'),
    [
        (lambda: None, 0, ''),
        (lambda: 1, 1, ''),
        (
            lambda: (_ for _ in ()).throw(UserError('no such thing; do that')),
            FAILED,
            'error: no such thing; do that\n',
        ),
        (lambda: (_ for _ in ()).throw(KeyboardInterrupt), INTERRUPTED, 'interrupted\n'),
    ],
    ids=['done', 'status', 'user error', 'ctrl-c'],
)
def test_the_exit_status_and_the_message_tell_how_it_went(main, status, told, capsys):
    with pytest.raises(SystemExit) as exited:
        run(main)
    assert (exited.value.code, capsys.readouterr().err) == (status, told)


def test_other_errors_keep_their_traceback_after_a_line_that_names_them(capsys):
    with pytest.raises(SystemExit) as exited:
        run(lambda: 1 // 0)
    assert exited.value.code == FAULT
    first, empty, *trace = capsys.readouterr().err.splitlines()
    cause = 'ZeroDivisionError: integer division or modulo by zero'
    assert first.startswith(f'error: {cause} ({__file__}, line ')
    assert (empty, trace[0], trace[-1]) == ('', 'Traceback (most recent call last):', cause)


def test_a_worker_s_traceback_is_taken_off_a_message():
    wrapped = (
        'Caught DataError in DataLoader worker process 0.\nOriginal Traceback (most recent call last):\n'
        '  File "a.py", line 1\nValueError: no header\n\nThe above exception was the direct cause of ...\n\n'
        'infopro_seg.errors.DataError: cannot read a.png; replace it\n'
    )
    assert message_of(DataError(wrapped)) == 'cannot read a.png; replace it'
