import json

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure

from infopro_seg.errors import CheckpointError, ConfigError, DataError, UserError
from infopro_seg.probing import command
from infopro_seg.probing.command import ProbeRequest, choose_labels, probe
from infopro_seg.probing.run import Findings
from tests.runs import SIZE, images, load, read_png, tiny_options, write_config
from tests.test_tools import call

BLOCKS = ('stem', 'layer3.0', 'layer4.1')


@pytest.fixture(scope='module')
def config(streets, tmp_path_factory):
    options = tiny_options(streets, results=True)
    return write_config(tmp_path_factory.mktemp('config') / 'tiny.py', options)


@pytest.fixture(scope='module')
def whole(checkpoint, tmp_path_factory):
    """A checkpoint of the same encoder with other weights, trained end to end."""
    content = load(checkpoint)
    content['state_dict']['backbone.layer4.1.bn2.weight'].zero_()
    content['meta']['cfg'] += '\nmodel["backbone"]["cuts"] = ()\n'
    path = tmp_path_factory.mktemp('whole') / 'iter_6.pth'
    torch.save(content, path)
    return path


@pytest.fixture
def asked(monkeypatch):
    """Stands in for the probes, whose training takes seconds, and lists the blocks that were asked for."""
    asked = []

    def probe_network(network, config, blocks, settings, *more):
        random = np.random.default_rng(len(asked))
        asked.append(list(blocks))

        def pictures():
            return [random.integers(0, 256, (*SIZE, 3), dtype=np.uint8) for _ in settings['images']]

        def scores():
            kinds = {kind: {'mIoU': random.random(), 'accuracy': 0.5} for kind in ('linear', 'mlp')}
            return {'mse': random.random(), 'bce': 0.5, 'psnr': 3.0, **kinds}

        nothing = {'mse': 0.1, 'bce': 0.7, 'psnr': 10.0, 'bce_floor': 0.5, 'mIoU': 0.02, 'accuracy': 0.4}
        found = {name: (scores(), pictures()) for name in blocks}
        return Findings(
            {name: row for name, (row, _) in found.items()},
            nothing,
            pictures(),
            {name: shown for name, (_, shown) in found.items()},
        )

    monkeypatch.setattr(command, 'probe_network', probe_network)
    for name in ('depth_figure', 'sheet_figure'):
        monkeypatch.setattr(command, name, lambda report: Figure(figsize=(1, 1)))
    return asked


def request(config, checkpoints, out, **changes):
    return ProbeRequest(config, checkpoints, out, **{'blocks': BLOCKS, 'device': 'cpu', **changes})


def test_the_tool_looks_into_several_checkpoints(config, checkpoint, whole, streets, tmp_path, monkeypatch):
    out = tmp_path / 'out'
    arguments = ['--labels', 'InfoPro', 'E 2/E', '--blocks', 'every:4', '--iterations', 2, '--batch', 2]
    arguments += ['--device', 'cpu', '--cfg-options', 'train_dataloader.num_workers=0']
    assert call('probe.py', config, checkpoint, whole, '--out', out, *arguments, monkeypatch=monkeypatch) == 0
    content = json.loads((out / 'results.json').read_text())
    assert content['settings'] == {'iterations': 2, 'batch': 2, 'seed': 0}
    assert [entry['label'] for entry in content['checkpoints']] == ['InfoPro', 'E 2/E']
    assert [entry['cuts'] for entry in content['checkpoints']] == [['layer1.1', 'layer3.0'], []]
    first, second = (entry['blocks'] for entry in content['checkpoints'])
    for blocks in (first, second):
        found = [(block['block'], block['depth']) for block in blocks]
        assert found == [('stem', 1), ('layer2.1', 5), ('layer4.1', 9)]
    assert first[:2] == second[:2]  # the same weights, data and seed
    assert first[2] != second[2]
    for name in ('depth.png', 'reconstructions.png'):
        assert read_png(out / name).shape[1] > 600
    assert '| block | InfoPro | E 2/E |' in (out / 'table.md').read_text()
    first, *_, last = images(streets, 'val')
    shown = np.concatenate([read_png(first), read_png(last)], axis=1)
    for folder in ('InfoPro', 'E_2_E'):
        assert np.abs(read_png(out / folder / 'image.png').astype(int) - shown).max() <= 1
        assert read_png(out / folder / 'layer4.1.png').shape == shown.shape


def test_what_is_known_is_not_found_out_again(config, checkpoint, whole, tmp_path, asked, capsys):
    """Also where more blocks or another checkpoint are asked for."""
    label, out = checkpoint.parent.name, tmp_path
    [first] = probe(request(config, [checkpoint], out, blocks=('layer4.1',))).subjects
    [more] = probe(request(config, [checkpoint], out)).subjects
    assert asked == [['layer4.1'], ['stem', 'layer3.0']]
    assert f'{label}: 1 of 3 blocks are done already' in capsys.readouterr().err
    assert list(more.blocks) == list(BLOCKS)
    assert more.blocks['layer4.1'] == first.blocks['layer4.1']
    pictures = [subject.reconstructions['layer4.1'] for subject in (first, more)]
    assert all(np.array_equal(a, b) for a, b in zip(*pictures, strict=True))
    both = probe(request(config, [whole, checkpoint], out)).subjects
    assert asked[2:] == [list(BLOCKS)]
    assert both[1].blocks == more.blocks
    [fewer] = probe(request(config, [checkpoint], out, blocks=('stem',))).subjects
    assert fewer.blocks == {'stem': more.blocks['stem']}
    assert len(asked) == 3


@pytest.mark.parametrize(
    'change',
    [{'iterations': 2}, {'batch': 1}, {'seed': 1}, {'options': {'val_dataloader.dataset.indices': 2}}],
)
def test_other_settings_start_anew(config, checkpoint, tmp_path, asked, change):
    for changes in ({}, change, change):
        probe(request(config, [checkpoint], tmp_path, **changes))
    assert asked == [list(BLOCKS)] * 2


def test_other_weights_under_the_same_name_start_anew(config, checkpoint, whole, tmp_path, asked):
    for path in (checkpoint, whole, whole):
        probe(request(config, [path], tmp_path, labels=['same']))
    assert asked == [list(BLOCKS)] * 2


def test_a_lost_picture_is_made_again_and_a_damaged_file_named(config, checkpoint, tmp_path, asked):
    again = request(config, [checkpoint], tmp_path, labels=['a'])
    probe(again)
    (tmp_path / 'a' / 'stem.png').unlink()
    probe(again)
    assert asked == [list(BLOCKS)] * 2
    (tmp_path / 'a' / 'probes.json').write_text('{')
    with pytest.raises(UserError, match=r'a/probes\.json is damaged .*; delete it to recreate it'):
        probe(again)


@pytest.mark.parametrize(
    ('change', 'error', 'message'),
    [
        ({'iterations': 0}, UserError, '--iterations is 0; give 1 or more'),
        ({'batch': 0}, UserError, '--batch is 0; give 1 or more'),
        ({'labels': ['a', 'b']}, UserError, r'2 --labels \(a, b\) for 1 checkpoints; give one for each'),
        ({'blocks': ('layer9.0',)}, UserError, 'layer9.0: the encoder has no such block; choose from stem'),
        ({'device': 'abacus'}, UserError, '--device abacus cannot be used'),
        ({'options': {'val_dataloader': None}}, ConfigError, 'no val_dataloader: probes are trained on'),
        ({'options': {'train_dataloader.dataset.data_root': 'none'}}, DataError, 'train data is missing'),
        ({'options': {'model.backbone.encoder.depth': 34}}, CheckpointError, 'is of another model'),
    ],
)
def test_bad_input_is_one_message(config, checkpoint, tmp_path, change, error, message):
    with pytest.raises(error, match=message):
        probe(request(config, [checkpoint], tmp_path / 'out', **change))
    assert not (tmp_path / 'out').exists()


def test_labels_are_the_folders_of_the_checkpoints(tmp_path):
    one, two, other = (tmp_path / name for name in ('a/1.pth', 'a/2.pth', 'b/1.pth'))
    assert choose_labels([one, other], None) == ['a', 'b']
    assert choose_labels([one, two, other], None) == ['a/1', 'a/2', 'b']
    for labels in (['E2E', 'e2e'], ['a b', 'a_b'], ['x', 'x']):
        with pytest.raises(UserError, match='so alike that they share a folder'):
            choose_labels([one, two], labels)
