"""docs/config.md lists every option of the parts of classifiers, with its true default."""

import pytest

from infopro_seg.classification.cifar_resnet import CifarResNet
from infopro_seg.classification.encoded_images import EncodedImages
from infopro_seg.classification.head import ConvClassifierHead
from infopro_seg.classification.image_decoder import ImageDecoder
from tests.docs.test_config_reference import documented, options_of


@pytest.mark.parametrize(
    'kind', [CifarResNet, ConvClassifierHead, EncodedImages, ImageDecoder], ids=lambda kind: kind.__name__
)
def test_every_option_of_a_classifier_is_there_with_its_default(kind):
    assert documented(kind) == options_of(kind)
