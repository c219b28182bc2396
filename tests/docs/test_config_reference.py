"""docs/config.md lists every option of our own parts, with its true default."""

import inspect
import re

import pytest
from mmseg.models.losses import CrossEntropyLoss

from infopro_seg import hooks
from infopro_seg.datasets.loading import LoadLabels
from infopro_seg.models.backbone import InfoProBackbone
from infopro_seg.models.local_heads.contrastive_head import ContrastiveHead
from infopro_seg.models.local_heads.decoder import ReconstructionDecoder
from infopro_seg.models.local_heads.local_head import InfoProHead
from infopro_seg.models.local_heads.momentum_block import MomentumBlock
from infopro_seg.models.losses.lean_loss import LeanCrossEntropyLoss
from tests.runs import ROOT

PAGE = (ROOT / 'docs' / 'config.md').read_text()
INFERRED = {'in_channels', 'in_index', 'init_cfg', 'block'}  # of parts that the backbone builds
REFUSED = {'use_sigmoid', 'use_mask'}
PARTS = {
    InfoProHead,
    ReconstructionDecoder,
    ContrastiveHead,
    LeanCrossEntropyLoss,
    InfoProBackbone,
    LoadLabels,
}
HOOKS = {getattr(hooks, name) for name in hooks.__all__}


def options_of(kind):
    """Every option and its default as Python has them."""
    parameters = dict(inspect.signature(kind).parameters)
    if kind is LeanCrossEntropyLoss:
        parameters = {**inspect.signature(CrossEntropyLoss).parameters, **parameters}
    left_out = {'kwargs'} | (REFUSED if kind is LeanCrossEntropyLoss else set())
    left_out |= set() if kind is InfoProBackbone else INFERRED
    left_out |= {'encoder'} if kind is MomentumBlock else set()
    return {name: parameter.default for name, parameter in parameters.items() if name not in left_out}


def documented(kind):
    """The same from the tables: one of the part's own, or rows that begin with its name."""
    name = kind.__name__
    found = re.findall(rf'^\| `{name}` \| `(\w+)` \| (.*?) \|', PAGE, re.MULTILINE)
    for table in re.findall(rf'^\| `{name}` \| default .*\n\|---.*\n((?:\|.*\n)+)', PAGE, re.MULTILINE):
        found += re.findall(r'^\| `(\w+)` \| (.*?) \|', table, re.MULTILINE)
    return {
        option: inspect.Parameter.empty if default == 'required' else eval(default.strip('`'))
        for option, default in found
    }


@pytest.mark.parametrize(
    'kind',
    sorted(PARTS | HOOKS | {MomentumBlock}, key=lambda kind: kind.__name__),
    ids=lambda kind: kind.__name__,
)
def test_every_option_is_there_with_its_default(kind):
    assert documented(kind) == options_of(kind)
