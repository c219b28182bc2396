"""What a comparison refuses before it trains."""

import pytest
import torch

from infopro_seg.comparison.command import CompareRequest, compare
from infopro_seg.errors import CheckpointError, UserError
from tests.runs import ROOT


@pytest.mark.parametrize(
    ('arguments', 'words'),
    [
        ({'methods': ['greddy']}, ["unknown method 'greddy'", 'infopro_contrast']),
        ({'jobs': 0}, ['--jobs 0', '1 or more']),
        ({'methods': ['dgl'], 'modules': [99]}, ['99 local modules', '14 blocks']),
        ({'modules': [1]}, ['--modules 1', '2 modules or more', 'e2e']),
        ({'modules': [4, 0]}, ['--modules 0', '1 module or more']),
        ({'seeds': [-1]}, ['--seeds -1', '0 or more']),
        ({'report_only': True}, ['no finished run', 'without --report-only']),
        ({'suite': ROOT / 'configs' / 'infopro_demo.py'}, ['is not a suite', 'configs/compare/cpu.py']),
    ],
    ids=['method', 'jobs', 'modules', 'one module', 'no module', 'seed', 'nothing to report', 'suite'],
)
def test_bad_arguments_are_named(tmp_path, arguments, words):
    suite = ROOT / 'configs' / 'compare' / 'smoke.py'
    request = CompareRequest(**{'suite': suite, 'out': tmp_path, **arguments})
    with pytest.raises(UserError) as caught:
        compare(request, lambda line: None)
    assert all(word in str(caught.value) for word in words)


def test_mixed_precision_without_a_gpu_is_refused_before_anything_is_made(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    request = CompareRequest(ROOT / 'configs' / 'compare' / 'streets.py', tmp_path / 'out')
    with pytest.raises(UserError, match=r'streets.py trains in mixed precision on a GPU.*use the suite cpu'):
        compare(request, lambda line: None)
    assert not (tmp_path / 'out').exists()


def test_missing_pretrained_weights_are_named_with_the_way_to_get_them(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # the suite's file is data/pretrained/...
    request = CompareRequest(ROOT / 'configs' / 'compare' / 'camvid.py', tmp_path / 'out', methods=['e2e'])
    with pytest.raises(CheckpointError) as caught:
        compare(request, lambda line: None)
    message = str(caught.value)
    for words in ('data/pretrained/tf_efficientnet_lite0.pth', 'tools/convert_efficientnet_lite.py'):
        assert words in message
    assert '--cfg-options' not in message  # which this tool does not have
    assert list((tmp_path / 'out').iterdir()) == []
