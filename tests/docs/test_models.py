"""docs/models.md names every pair of configs, with the cut that is in it."""

import re
from pathlib import Path

from mmengine.config import Config

from tests.runs import ROOT

PAGE = (ROOT / 'docs' / 'models.md').read_text()
PAPER = 'deeplabv3_infopro_'  # its table is in docs/memory.md


def cut_of(name: str) -> str:
    [cut] = Config.fromfile(str(ROOT / 'configs' / f'{name}.py')).model.backbone.cuts
    return cut


def test_every_pair_is_listed_with_its_cut():
    rows = re.findall(r'^\| `(\w+)_\{e2e,infopro\}_(\w+)\.py` .* `([\w.]+)` \|$', PAGE, re.MULTILINE)
    listed = {f'{network}_infopro_{data}': cut for network, data, cut in rows}
    shipped = {path.stem for path in Path(ROOT / 'configs').glob('*_infopro_*.py')}
    shipped = {name for name in shipped if not name.startswith(PAPER)}
    assert listed == {name: cut_of(name) for name in shipped}


def test_the_cuts_that_keep_the_auxiliary_head_are_those_of_the_configs():
    rows = re.findall(r'^\| `(\w+)\.py` \| `[\w.]+` \| [\d.]+ \| `([\w.]+)` ', PAGE, re.MULTILINE)
    assert len(rows) == 4
    assert dict(rows) == {name: cut_of(name) for name, _ in rows}
