import argparse
import sys
from pathlib import Path

import numpy as np
import pytest
from mmengine.config import Config

from infopro_seg import cli
from infopro_seg.config_files import load_config
from infopro_seg.errors import ConfigError
from infopro_seg.options import CfgOptions


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Writes a file, from whose folder modules can be imported."""
    monkeypatch.syspath_prepend(tmp_path)

    def write(name, text):
        (tmp_path / name).write_text(text)
        return tmp_path / name

    return write


@pytest.mark.parametrize(
    ('text', 'expected'),
    [
        ('a = dict(', 'SyntaxError'),
        ('a = 1\nb = a / 0', r'ZeroDivisionError: division by zero \(.*config.py:2\)'),
        ("_base_ = './gone.py'", r'gone.py.*; a _base_ is relative to the folder'),
        ("_base_ = './base.py'\nx = {{_base_.gone}}", "KeyError: the key 'gone' is missing"),
        ("custom_imports = dict(imports=['gone_module'])", "No module named 'gone_module'; .* PYTHONPATH"),
        ("custom_imports = dict(import_=['os'])", "unexpected keyword argument 'import_'"),
    ],
)
def test_a_config_that_cannot_be_read_is_named_with_the_cause(write, text, expected):
    write('base.py', 'y = 1')
    path = write('config.py', text)
    with pytest.raises(ConfigError, match=rf'cannot read the config {path}: .*{expected}'):
        load_config(path)


@pytest.mark.parametrize(
    ('content', 'expected'),
    [
        (b'a = 1\nb = dict(', r"'\(' was never closed .*line 2"),
        (b'# caf\xe9', "can't decode byte 0xe9 in position 5.*; save it as UTF-8"),
        (b'\xef\xbb\xbfa = 1', r'U\+FEFF .* is its byte-order mark; save it as UTF-8 without one'),
    ],
)
def test_the_file_whose_syntax_or_encoding_is_wrong_is_named(write, content, expected):
    path = write('config.py', "_base_ = './base.py'")
    base = path.with_name('base.py')
    base.write_bytes(content)
    with pytest.raises(ConfigError, match=f'cannot read {base}, a _base_ of the config {path}: .*{expected}'):
        load_config(path)
    with pytest.raises(ConfigError, match=f'cannot read the config {base}: .*{expected}'):
        load_config(base)


@pytest.mark.parametrize(
    ('text', 'kind'), [('x = 1 / 0', ZeroDivisionError), ('import gone_too', ImportError)]
)
def test_a_fault_in_a_module_that_a_config_imports_keeps_its_traceback(write, text, kind):
    module = write(f'own_{kind.__name__}.py', f'"""Mine."""\n{text}\n')
    path = write('config.py', f"custom_imports = dict(imports=['{module.stem}'], allow_failed_imports=False)")
    with pytest.raises(kind) as caught:
        load_config(path)
    last = caught.traceback[-1]
    assert (str(last.path), last.lineno + 1) == (str(module), 2)
    sys.modules.pop(module.stem, None)


@pytest.mark.parametrize('option', [{'a.b.c': 1}, {'c.3.d': 1}, {'c.x.d': 1}])
def test_an_override_that_does_not_fit_is_named(write, option):
    path = write('config.py', 'a = dict(b=1)\nc = [dict(d=1)]')
    [(key, value)] = option.items()
    with pytest.raises(ConfigError, match=rf'--cfg-options {key}={value} do not fit the config {path}'):
        load_config(path, option)


def parse(*given):
    parser = argparse.ArgumentParser()
    parser.add_argument('--cfg-options', nargs='+', action=CfgOptions)
    return parser.parse_args(given).cfg_options


def test_overrides_are_read_as_mmengine_reads_them():
    assert parse('--cfg-options', 'a.b=1', 'c=(2,[x,y])', 'd=None', '--cfg-options', 'e=x=y') == {
        'a.b': 1,
        'c': (2, ['x', 'y']),
        'd': None,
        'e': 'x=y',
    }


@pytest.mark.parametrize('quote', ['"', "'"])
def test_a_text_with_commas_goes_in_quotes(quote):
    policies = 'layer1: blocks*8, layer3: norms'
    given = {'a.b': policies, 'c': '1', 'd': '[x,y]', 'e': 'x'}
    values = [f'{key}={quote}{value}{quote}' for key, value in given.items()]
    assert parse('--cfg-options', *values) == {'a.b': policies, 'c': 1, 'd': ['x', 'y'], 'e': 'x'}


@pytest.mark.parametrize(
    ('given', 'expected'),
    [
        ('my runs/iter_2.pth', 'my runs/iter_2.pth'),
        ('"my runs/a, b.pth"', 'my runs/a, b.pth'),
        ("('traffic light', 'car')", ('traffic light', 'car')),
        ("[['traffic light'], 1]", [['traffic light'], 1]),
        ('"[\'traffic light\', 2]"', ['traffic light', 2]),
        ('( 1, [2 , 3] )', (1, [2, 3])),
        ('x, y', ['x', 'y']),
        (' 0.5 ', 0.5),
    ],
    ids=str,
)
def test_spaces_stay_in_texts_and_mean_nothing_elsewhere(given, expected):
    assert parse('--cfg-options', f'a.b={given}') == {'a.b': expected}


@pytest.mark.parametrize('given', ['traffic light, car', '[car,traffic light]', '"[car,traffic light]"'])
def test_texts_with_spaces_need_quotes_in_a_list(capsys, given):
    with pytest.raises(SystemExit) as caught:
        parse('--cfg-options', f'a.b={given}')
    assert caught.value.code == 2
    assert 'the spaces in the texts of a list would be lost; put each in quotes' in capsys.readouterr().err


@pytest.mark.parametrize('value', ['lr', '=5', 'lr =5', 'size=(1,[2)', '.=1'])
def test_a_malformed_override_is_named(capsys, value):
    with pytest.raises(SystemExit) as caught:
        parse('--cfg-options', value)
    assert caught.value.code == 2
    assert f'error: --cfg-options {value!r}: ' in capsys.readouterr().err


ENCODER = {'type': 'ResNetV1c', 'depth': 18}
LAZY = """
from mmengine.config import read_base
from mmengine.optim import OptimWrapper, PolyLR
from mmseg.models import ResNetV1c
from torch.optim import SGD

from infopro_seg.hooks import ResultsHook
from infopro_seg.models.segmentor import InfoProEncoderDecoder
from own_part import Own

with read_base():
    from .lazy_base import *

model = dict(type=InfoProEncoderDecoder, backbone=dict(encoder=dict(type=ResNetV1c, depth=18)))
optim_wrapper = dict(type=OptimWrapper, optimizer=dict(type=SGD, lr=lr))
param_scheduler = [dict(type=PolyLR, end=5)]
custom_hooks = [dict(type=ResultsHook), dict(type=Own)]
"""


def test_a_pure_python_config_reads_as_one_with_names(write):
    write('own_part.py', 'class Own:\n    pass\n')
    write('lazy_base.py', 'from mmengine.runner import ValLoop\nlr = 0.5\nval_cfg = dict(type=ValLoop)\n')
    config = load_config(write('lazy.py', LAZY), {'param_scheduler.0.end': 7})
    [results, own] = config.pop('custom_hooks')
    assert results == {'type': 'ResultsHook'}
    assert own['type'].__name__ == 'Own'
    assert config.to_dict() == {
        'lr': 0.5,
        'val_cfg': {'type': 'ValLoop'},
        'model': {'type': 'InfoProEncoderDecoder', 'backbone': {'encoder': ENCODER}},
        'optim_wrapper': {'type': 'OptimWrapper', 'optimizer': {'type': 'SGD', 'lr': 0.5}},
        'param_scheduler': [{'type': 'PolyLR', 'end': 7}],
        'default_scope': 'mmseg',
    }
    assert Config.fromstring(config.pretty_text, '.py').to_dict() == config.to_dict()


def test_paths_and_numbers_of_numpy_can_be_dumped(write):
    """A checkpoint holds the text of its config, and could not be resumed or exported."""
    write('base.py', 'x = 1\n')
    text = "_base_ = './base.py'\nfrom pathlib import Path\nimport numpy as np\n"
    text += "a = dict(b=[Path('x') / 'y', (np.float64(0.5),)], c=1)\n"
    path = write('config.py', f"{text}load_from = Path('z')\nmean = np.array([1.0, 2.0])\n")
    config = load_config(path, {'a.c': Path('w'), 'lr': np.float32(0.5)})
    expected = {'a': {'b': ['x/y', (0.5,)], 'c': 'w'}, 'load_from': 'z', 'mean': [1.0, 2.0], 'lr': 0.5}
    assert {key: config[key] for key in expected} == expected
    assert Config.fromstring(config.pretty_text, '.py').to_dict() == config.to_dict()


def test_scripts_for_earlier_versions_find_it_where_it_was():
    assert cli.load_config is load_config
    assert not hasattr(cli, 'no_such_name')
