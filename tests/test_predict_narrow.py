"""Images that are too narrow to be resized."""

import cv2
import numpy as np
import pytest
from mmcv.transforms import BaseTransform
from mmseg.registry import TRANSFORMS

from infopro_seg.errors import DataError
from tests.predictors import WHOLE, save_network

RESIZE = {'type': 'Resize', 'scale': (96, 64), 'keep_ratio': True}  # 900x1 pixels become 96x0
NARROW = np.zeros((1, 900, 3), np.uint8)


@TRANSFORMS.register_module()
class FailsInOpenCV(BaseTransform):
    def transform(self, results):
        return cv2.cvtColor(np.zeros((2, 2)), cv2.COLOR_RGB2GRAY)


def test_a_narrow_image_is_told_with_what_to_do(tmp_path):
    predictor = save_network(tmp_path, WHOLE, RESIZE).predictor()
    cv2.imwrite(str(tmp_path / 'narrow.png'), NARROW)
    for image, name in ((tmp_path / 'narrow.png', 'narrow.png'), (NARROW, '1x900 pixels')):
        with pytest.raises(DataError, match=f'cannot process .*{name}.*; a very narrow image'):
            predictor.predict(image)
    assert predictor.predict(NARROW[:, :9]).shape == (1, 9)


def test_a_fault_in_a_step_of_the_user_s_own_is_passed_on(tmp_path):
    predictor = save_network(tmp_path, WHOLE, {'type': 'FailsInOpenCV'}).predictor()
    with pytest.raises(cv2.error):
        predictor.predict(NARROW)
