"""Label images as PGM, whose highest level may be any."""

import itertools

import numpy as np
import pytest

from infopro_seg.datasets.image_files import decode_labels

IDS = np.array([[0, 1, 2, 3], [3, 2, 1, 0]])


@pytest.mark.parametrize('highest', [3, 20, 254, 255, 256, 300, 40_000, 65535])
@pytest.mark.parametrize('comment', [b' ', b'\n# made by hand 7\n'])
def test_a_pgm_keeps_its_ids_whatever_its_highest_level(highest, comment):
    head = comment.join([b'4', b'2', str(highest).encode()]) + b'\n'
    stored = IDS.astype('>u1' if highest < 256 else '>u2').tobytes()
    digits = b' '.join(b'%d' % level for level in IDS.flat) + b'\n'
    binary, text = b'P5 ' + head + stored, b'P2 ' + head + digits
    for data, backend in itertools.product((binary, text), ('pillow', 'cv2')):
        assert decode_labels(data, backend)[0].tolist() == IDS.tolist()


def test_every_level_of_a_pgm_is_told_apart():
    for highest in (1, 100, 254, 1000):
        levels = np.arange(highest + 1, dtype='>u1' if highest < 256 else '>u2')
        head = b' %d 1 %d\n' % (len(levels), highest)
        assert decode_labels(b'P5' + head + levels.tobytes())[0].tolist() == [levels.tolist()]
        digits = b'P2' + head + b' '.join(b'%d' % level for level in levels) + b'\n'
        assert decode_labels(digits, 'cv2')[0].tolist() == [levels.tolist()]
