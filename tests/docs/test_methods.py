"""The configs that docs/methods.md names are there, and its two lines switch the method."""

import re

import pytest

from infopro_seg.config_files import load_config
from infopro_seg.errors import ConfigError
from tests.runs import ROOT

PAGE = (ROOT / 'docs' / 'methods.md').read_text()
CONFIGS = ROOT / 'configs'
HEADS = sorted(path.stem for path in (CONFIGS / '_base_' / 'local_heads').glob('*.py'))


def two_lines(folder, head, base):
    """A config of the page's two lines, with another method and base."""
    [code] = re.findall(r'```python\n(_base_ = \[.*?/local_heads/dgl.*?)```', PAGE, re.DOTALL)
    config = folder / 'config.py'
    code = code.replace('./deeplabv3_r50_e2e_cityscapes', f'{CONFIGS}/{base}')
    config.write_text(code.replace('_base_/local_heads/dgl', f'{CONFIGS}/_base_/local_heads/{head}'))
    return config


@pytest.mark.parametrize('head', HEADS)
def test_two_lines_give_another_config_the_local_head_of_a_file_and_nothing_else(tmp_path, head):
    config = load_config(two_lines(tmp_path, head, 'deeplabv3_r50_e2e_cityscapes')).to_dict()
    backbone = config['model']['backbone']
    assert backbone.pop('local_head') == config.pop('local_head')
    expected = load_config(CONFIGS / '_base_' / 'local_heads' / f'{head}.py').local_head.to_dict()
    assert load_config(tmp_path / 'config.py').model.backbone.local_head.to_dict() == expected
    base = load_config(CONFIGS / 'deeplabv3_r50_e2e_cityscapes.py').to_dict()
    assert (backbone.pop('cuts'), base['model']['backbone'].pop('cuts')) == (('layer3.2',), ())
    assert config == base


def test_a_base_with_a_local_head_is_refused(tmp_path):
    assert "Duplicate keys: {'local_head'}" in PAGE
    with pytest.raises(ConfigError, match=r"Duplicate keys: \{'local_head'\}"):
        load_config(two_lines(tmp_path, 'dgl', 'deeplabv3_r50_infopro_cityscapes'))


def test_the_configs_of_the_page_are_there():
    named = set(re.findall(r'deeplabv3_\w+\.py', PAGE))
    assert len(named) >= 10
    assert [name for name in sorted(named) if not (CONFIGS / name).is_file()] == []
