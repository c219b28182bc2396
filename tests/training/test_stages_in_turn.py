"""Which stages are trained next, told from the folders of those before; nothing is trained here."""

from pathlib import Path

import pytest
import torch

from infopro_seg.config_files import load_config
from infopro_seg.errors import CheckpointError, ConfigError
from infopro_seg.training.turn_result import digest
from infopro_seg.training.turns import turns_of
from tests.runs import DEMO, hooks, tiny_options


def made_up(
    folder,
    stage,
    iteration=6,
    cuts=('layer1.1', 'layer3.0'),
    before=None,
    value=0.0,
    stage_of=None,
    length=None,
):
    """A checkpoint of a stage, as far as the next one looks at it; returns the digest of its weights."""
    path = Path(folder) / f'stage_{stage}'
    path.mkdir(parents=True, exist_ok=True)
    cfg = f'model = dict(backbone=dict(cuts={cuts!r}, stage={stage_of}))\nweights_before = {before!r}\n'
    cfg += f'train_cfg = dict(max_iters={length})\n' if length else ''
    weights = {'weight': torch.full((2,), value)}
    content = {'meta': {'iter': iteration, 'cfg': cfg}, 'state_dict': weights}
    torch.save(content, path / 'made_up.pth')
    (path / 'last_checkpoint').write_text(str(path / 'made_up.pth'))
    (path / 'metrics.json').touch()
    return digest(weights)


def plan(streets, folder, stage=None, resume=False, **options):
    """Which stages would train, and whether they resume."""
    cfg = load_config(DEMO, {**tiny_options(streets, results=True), 'stages': [{}, {}, {}], **options})
    cfg.work_dir = str(folder)
    return [(p.model.backbone.stage, r) for p, r in turns_of(cfg, stage, resume)]


def test_a_stage_on_other_weights_than_the_stage_before_has_now_starts_anew(streets, tmp_path):
    first = made_up(tmp_path, 0)
    second = made_up(tmp_path, 1, before=first, value=1.0)
    made_up(tmp_path, 2, before=second, value=2.0)
    assert plan(streets, tmp_path) == [(2, True)]
    assert plan(streets, tmp_path, 1) == [(1, False)]
    assert plan(streets, tmp_path, 1, True) == [(1, True)]
    made_up(tmp_path, 0, value=3.0)
    with pytest.raises(ConfigError, match='stage 2 trains on the outputs of stage 1') as caught:
        plan(streets, tmp_path / 'elsewhere', 2)
    assert f'not finished in {tmp_path / "elsewhere" / "stage_1"}' in str(caught.value)
    assert plan(streets, tmp_path, 1, True) == [(1, False)]


def test_a_stage_that_was_killed_before_it_left_results_is_continued_at_its_end(streets, tmp_path):
    made_up(tmp_path, 1, before=made_up(tmp_path, 0), value=1.0)
    (tmp_path / 'stage_0' / 'metrics.json').unlink()
    assert plan(streets, tmp_path) == [(0, True), (2, False)]
    without = hooks()  # and none that writes any
    assert plan(streets, tmp_path, custom_hooks=without) == [(2, False)]


def test_stages_are_found_where_their_folder_was_moved_to(streets, tmp_path):
    made_up(tmp_path / 'before', 1, before=made_up(tmp_path / 'before', 0), value=1.0)
    (tmp_path / 'before').rename(tmp_path / 'after')
    assert plan(streets, tmp_path / 'after') == [(2, False)]
    assert plan(streets, tmp_path / 'after', 2) == [(2, False)]
    (tmp_path / 'after' / 'stage_1' / 'made_up.pth').unlink()
    with pytest.raises(CheckpointError, match=r'last_checkpoint names .*after.*made_up.pth, .* not there'):
        plan(streets, tmp_path / 'after', 2)


def test_a_checkpoint_to_continue_is_of_the_same_stage_and_on_the_same_weights(streets, tmp_path):
    first = made_up(tmp_path, 0, stage_of=0)
    made_up(tmp_path, 1, iteration=3, before=first, stage_of=1)
    of_zero, of_one = (str(tmp_path / f'stage_{stage}' / 'made_up.pth') for stage in (0, 1))
    assert plan(streets, tmp_path, 1, of_one) == [(1, of_one)]
    with pytest.raises(ConfigError, match=r'made_up.pth is of stage 0; stage 1 continues'):
        plan(streets, tmp_path, 1, of_zero)
    made_up(tmp_path, 0, value=3.0, stage_of=0)
    with pytest.raises(ConfigError, match=r'trained on other weights of stage 0 than those of .*stage_0'):
        plan(streets, tmp_path, 1, of_one)
    made_up(tmp_path, 1, before=first, stage_of=None)
    with pytest.raises(ConfigError, match='is of no stage, but all modules at once; stage 1'):
        plan(streets, tmp_path, 1, of_one)


@pytest.mark.parametrize(
    ('stage', 'resume', 'options', 'words'),
    [
        (3, False, {}, 'no stage 3: the config has 3 stages; give --stage 0 to 2'),
        (-1, False, {}, 'no stage -1: the config has 3 stages; give --stage 0 to 2'),
        (
            1,
            False,
            {'stages': None},
            r'--stage 1, but the config .* once; .* stages=\[dict\(\), dict\(\), d',
        ),
        (None, False, {'stages': [{}]}, 'stages lists 1 dicts, but the model has 3 local modules'),
        (None, False, {'stages': 3}, r'stages=3 of the config; write a list of 3 dicts'),
        (None, False, {'stages': [{}, {'model': 1}, {}]}, r'stages\[1\] does not fit the config'),
        (None, True, {'train_cfg.max_iters': None}, 'give train_cfg a max_iters'),
        (None, 'some.pth', {}, r'--resume some.pth does not say which of the 3 stages .*; add --stage'),
        (
            1,
            False,
            {'model.backbone.cuts': ('layer1.1', 'layer3.1')},
            r"\('layer1.1', 'layer3.1'\), but",
        ),
        (1, False, {'train_cfg.max_iters': 7}, 'stage 1 .* stage 0, which is not finished .*: --stage 0'),
    ],
)
def test_what_cannot_be_trained_is_refused(streets, tmp_path, stage, resume, options, words):
    made_up(tmp_path, 0)
    with pytest.raises(ConfigError, match=words):
        plan(streets, tmp_path, stage, resume, **options)


def test_a_length_for_one_stage_is_not_that_of_the_one_before_it(streets, tmp_path):
    """With --stage 1, max_iters on the command line is meant for stage 1."""
    made_up(tmp_path, 0, length=6)
    longer = {'train_cfg.max_iters': 20}
    assert plan(streets, tmp_path, 1, **longer) == [(1, False)]
    with pytest.raises(ConfigError, match='stage 0, which is not finished'):
        plan(streets, tmp_path, **longer)  # without --stage, it is meant for all
    made_up(tmp_path, 0, iteration=5, length=6)
    with pytest.raises(ConfigError, match='stage 0, which is not finished'):
        plan(streets, tmp_path, 1, **longer)
