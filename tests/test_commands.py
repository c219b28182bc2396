"""The commands as `python -m infopro_seg` runs them, and the configs that come with the package."""

import runpy
import sys
from pathlib import Path
from pkgutil import iter_modules
from types import SimpleNamespace

import pytest

from infopro_seg import commands
from infopro_seg.config_files import find_config, load_config
from infopro_seg.errors import ConfigError
from tests.runs import ROOT

NAMES = sorted(module.name for module in iter_modules(commands.__path__))


def run(monkeypatch, *arguments):
    monkeypatch.setattr(sys, 'argv', ['infopro_seg', *arguments])
    with pytest.raises(SystemExit) as done:
        runpy.run_module('infopro_seg', run_name='__main__')
    return done.value.code


def test_every_command_has_a_script_in_the_clone():
    scripts = {path.stem for path in (ROOT / 'tools').glob('*.py')}
    assert set(NAMES) <= scripts
    assert {'train', 'test', 'predict', 'export', 'plan', 'compare', 'probe'} <= set(NAMES)


@pytest.mark.parametrize('name', NAMES)
def test_a_command_shows_its_help_under_its_own_name(monkeypatch, capsys, name):
    assert run(monkeypatch, name, '--help') == 0
    shown = capsys.readouterr().out
    assert shown.startswith(f'usage: infopro_seg {name} ')
    assert '  --traceback ' in shown


@pytest.mark.parametrize(('name', 'words'), [('test', ['top-1', 'top-5']), ('predict', ['classes.csv'])])
def test_the_help_says_what_a_classifier_gives(monkeypatch, capsys, name, words):
    run(monkeypatch, name, '--help')
    shown = capsys.readouterr().out
    assert 'classifier' in shown
    assert all(word in shown for word in words)


def test_an_unknown_command_is_answered_with_the_known_ones(monkeypatch, capsys):
    assert run(monkeypatch, 'trian') == 2
    shown = capsys.readouterr()
    assert "error: there is no command 'trian'" in shown.err
    assert all(name in shown.err for name in NAMES)
    assert shown.out == ''
    assert run(monkeypatch) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[-len(NAMES) :]] == NAMES
    assert '  test                    Evaluate a checkpoint' in lines


@pytest.mark.parametrize(
    'name', ['infopro_demo', 'infopro_demo.py', 'configs/infopro_demo.py', 'compare/cpu']
)
def test_shipped_configs_are_found_by_name_from_any_folder(monkeypatch, tmp_path, name):
    monkeypatch.chdir(tmp_path)
    expected = ROOT / 'configs' / f'{name.removeprefix("configs/").removesuffix(".py")}.py'
    assert find_config(name).samefile(expected)
    assert load_config(name).filename == str(expected)


def test_a_file_comes_before_a_shipped_config_of_its_name(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    Path('infopro_demo.py').write_text('own = True\n')
    assert load_config('infopro_demo.py').own


@pytest.mark.parametrize(
    ('name', 'answer'),
    [
        ('configs/deeplabv3_infopro_cityscape.py', '; did you mean deeplabv3_infopro_cityscapes or .*'),
        ('demo', r'; did you mean infopro_demo\?'),
        ('unheard_of', r'; there are \d+ in .*configs'),
        ('/nowhere/x.py', r'; there are \d+ in .*configs'),
    ],
)
def test_an_unknown_name_is_answered_with_what_it_may_mean(monkeypatch, tmp_path, name, answer):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=f'^no config {name}{answer}$'):
        find_config(name)


def test_the_package_contains_the_configs(monkeypatch):
    """What setup.py tells setuptools, which later Pythons do not bring along."""
    told = {}
    stand_in = SimpleNamespace(setup=told.update, find_packages=lambda include: list(include))
    monkeypatch.setitem(sys.modules, 'setuptools', stand_in)
    runpy.run_path(str(ROOT / 'setup.py'))
    assert told['packages'] == ['infopro_seg', 'infopro_seg.*', 'infopro_seg.configs']
    [pattern] = told['package_data']['infopro_seg.configs']
    found = set((ROOT / told['package_dir']['infopro_seg.configs']).glob(pattern))
    assert found == set((ROOT / 'configs').rglob('*.py'))


def test_a_checkpoint_in_place_of_the_config_is_named(tmp_path):
    (tmp_path / 'best.pth').touch()
    with pytest.raises(ConfigError, match=r'best\.pth is given as the config, but is a checkpoint'):
        load_config(tmp_path / 'best.pth')
