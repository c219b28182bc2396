"""The plan of a prediction is within 5 % of what torch's own tracker of memory finds."""

from copy import deepcopy

import pytest
import torch
from mmengine.config import Config
from torch.distributed._tools.mem_tracker import MemTracker

from infopro_seg.evaluation.tta import TTAModel
from infopro_seg.memory.inference.prediction import trace_prediction
from tests.memory.test_prediction import SIZE, SLIDE, VARIANTS, image
from tests.stand_ins import build, model_config


class Once(torch.nn.Module):
    """A whole prediction as one call of a module: the tracker takes no second call of an outermost one."""

    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, data):
        """Predicts."""
        return self.network.test_step(data)


@pytest.mark.parametrize('variants', [(), VARIANTS], ids=['single', 'tta'])
@pytest.mark.parametrize('test_cfg', [{'mode': 'whole'}, SLIDE], ids=['whole', 'slide'])
def test_the_peak_is_that_of_torch_s_tracker(test_cfg, variants):
    config = Config({'model': model_config(()) | {'test_cfg': test_cfg}})
    model = build(deepcopy(config.model.to_dict()), double=False).eval()
    batches = [image(*variant) for variant in variants or ((),)]
    tracker = MemTracker()
    tracker.track_external(model)  # not the images, which a GPU does not hold before
    with torch.no_grad(), tracker:
        if variants:
            Once(TTAModel(module=model))({key: [one[key] for one in batches] for key in batches[0]})
        else:
            Once(model)(batches[0])
    peaks = tracker.get_tracker_snapshot('peak')
    measured = sum(peak['Total'] for peak in peaks.values())
    planned = trace_prediction(config, SIZE, variants=variants).peak
    assert planned == pytest.approx(measured, rel=0.05)
