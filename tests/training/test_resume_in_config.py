import pytest
import torch
from mmengine.config import Config

from infopro_seg.training.launch import resumed_by, train
from tests.runs import DEMO, ITERS, STOPPED, tiny_options


@pytest.mark.parametrize(
    ('given', 'latest', 'expected'),
    [
        ({}, True, False),
        ({'resume': False, 'load_from': 'a.pth'}, True, False),
        ({'resume': True}, True, True),
        ({'resume': True}, False, True),
        ({'resume': True, 'load_from': 'a.pth'}, True, True),  # the run has gone on since
        ({'resume': True, 'load_from': 'a.pth'}, False, 'a.pth'),
        ({'resume': 'b.pth', 'load_from': 'a.pth'}, True, 'b.pth'),
        ({'resume': True, 'load_from': 'a.pth', 'stages': [{}, {}]}, False, True),
    ],
)
def test_what_the_config_resumes(tmp_path, given, latest, expected):
    if latest:
        parts = ('state_dict', 'meta', 'message_hub', 'optimizer')
        torch.save(
            {name: {'iter': 1} for name in parts} | {'param_schedulers': [{}]}, tmp_path / 'iter_1.pth'
        )
        (tmp_path / 'last_checkpoint').write_text(str(tmp_path / 'iter_1.pth'))
    assert resumed_by(Config({**given, 'work_dir': str(tmp_path)})) == expected


def test_a_run_that_its_config_resumes_does_not_start_anew(streets, trained, tmp_path):
    start = {'resume': True, 'load_from': str(trained / f'iter_{STOPPED}.pth')}
    runner = train(DEMO, work_dir=str(tmp_path), options=tiny_options(streets, **start))
    assert runner.iter == ITERS
    assert len(list(tmp_path.glob('iter_*.pth'))) == 1  # none of the first half
