"""A process that fails to make its part of a checkpoint."""

from types import SimpleNamespace

import pytest
from mmengine.runner import Runner

from infopro_seg.errors import RankError
from infopro_seg.training.module_parallel import runner as runners
from infopro_seg.training.module_parallel.placement import Placement


class Failing(runners.PartRunner):
    """Of the first of two modules, without weights."""

    def __init__(self, sent):
        placement = Placement(modules=2, replicas=1, rank=1)
        link = SimpleNamespace(send_part=sent.append)
        self.model = SimpleNamespace(placement=placement, link=link, module=self)
        self._hooks = []

    def register_state_dict_post_hook(self, hook):
        return SimpleNamespace(remove=lambda: None)


@pytest.mark.parametrize(('error', 'told'), [(ValueError('no'), 1), (RankError('gone'), 0)])
def test_the_first_rank_which_waits_for_the_part_is_told_why(monkeypatch, error, told):
    def fail(*args):
        raise error

    sent = []
    monkeypatch.setattr(Runner, 'save_checkpoint', SimpleNamespace(__wrapped__=fail))
    monkeypatch.setattr(runners, 'is_main_process', lambda: False)
    with pytest.raises(type(error)):
        Failing(sent).save_checkpoint('folder')
    assert len(sent) == told
    assert all(reason.startswith('ValueError: no') for reason in sent)


def test_it_ends_the_first_rank_by_name():
    link = SimpleNamespace(receive_part=lambda index: 'ValueError: no')
    model = SimpleNamespace(placement=Placement(modules=2, replicas=1, rank=0), link=link)
    with pytest.raises(RankError, match=r'^rank 1 ended the training: ValueError: no$'):
        runners._part(model, 0)
