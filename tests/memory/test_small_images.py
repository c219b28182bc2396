"""Images that are too small for a layer of the network: the planner says so."""

import pytest
import torch
from torch import nn

from infopro_seg.config_files import load_config
from infopro_seg.memory import trace_step
from infopro_seg.memory.planning.largest_size import largest_crop
from infopro_seg.memory.search.recipes import Recipe
from infopro_seg.memory.tracing.fake_model import SmallImagesError, fake_tensors
from infopro_seg.memory.tracing.training_setup import TrainingSetup


@pytest.mark.parametrize(
    ('layer', 'says'),
    [
        (lambda: nn.Conv2d(3, 3, 8), r'\(2 x 2\). Kernel size: \(8 x 8\)'),
        (lambda: nn.MaxPool2d(3), '3x2x2.*Output size is too small'),
        (lambda: nn.AvgPool2d(3), '3x2x2.*Output size is too small'),
        (lambda: nn.ReflectionPad2d(4), r'padding \(4, 4\)'),
    ],
)
def test_the_error_names_the_remedy_and_what_torch_says(layer, says):
    message = f'too small for the network: .*{says}.*larger size or crop'
    with pytest.raises(SmallImagesError, match=message), fake_tensors():
        layer()(torch.zeros(1, 3, 2, 2))


def test_other_errors_stay():
    with pytest.raises(RuntimeError, match='same reduction dim') as caught, fake_tensors():
        torch.mm(torch.zeros(2, 3), torch.zeros(2, 3))
    assert not isinstance(caught.value, SmallImagesError)


def test_a_network_on_a_single_pixel():
    with pytest.raises(SmallImagesError, match='Kernel size'):
        trace_step(load_config('segformer_mit_b2_infopro_cityscapes.py'), 2, (1, 1))


def test_a_crop_that_is_too_small_is_no_answer_but_larger_ones_may_be():
    class Search:
        """Knows a peak of a byte per pixel, from 128x256 pixels on."""

        setup = TrainingSetup(1, (256, 512))
        state_bytes = 0

        def trace(self, recipe, setup):
            height, width = setup.crop
            if height < 128:
                raise SmallImagesError('too small')
            return height * width, 1

    recipe = Recipe('E2E', (), False, False, 256 * 512, 1, '')
    budgets = (64 * 128, 128 * 256, 256 * 512 - 1)
    assert [largest_crop(Search(), recipe, budget) for budget in budgets] == [None, (128, 256), (192, 384)]
