"""`plan.py --module-parallel` says what takes which memory."""

import json

from infopro_seg.memory.planning.command import PlanModuleParallelRequest, plan_module_parallel
from tests.runs import DEMO


def test_messages_are_in_main_memory_and_not_in_the_peak(tmp_path, capsys):
    out = tmp_path / 'plan.json'
    assert plan_module_parallel(PlanModuleParallelRequest(DEMO, 2, (64, 128), modules='2', json=out)) == 0
    first, last = json.loads(out.read_text())[-1]['processes']
    assert first['sent_bytes'] > 2 * 3 * 64 * 128  # the image, a byte per pixel and channel, and a state
    assert (first['main_memory_bytes'], last['main_memory_bytes']) == (
        2 * first['sent_bytes'],
        first['sent_bytes'],
    )
    shown = capsys.readouterr().out
    assert 'messages MiB' in shown
    assert 'the peak counts only memory of the GPU' in shown
