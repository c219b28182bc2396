"""Label images as PGM, whose highest level may be any."""

import numpy as np
import pytest

from infopro_seg.datasets.image_files import decode_labels

IDS = np.array([[0, 1, 2, 3], [3, 2, 1, 0]])


@pytest.mark.parametrize('highest', [3, 20, 254, 255, 256, 300, 40_000, 65535])
@pytest.mark.parametrize('comment', [b' ', b'\n# made by hand 7\n'])
def test_a_pgm_keeps_its_ids_whatever_its_highest_level(highest, comment):
    head = comment.join([b'4', b'2', str(highest).encode()]) + b'\n'
    stored = IDS.astype('>u1' if highest < 256 else '>u2').tobytes()
    binary, text = b'P5 ' + head + stored, b'P2 ' + head + b' '.join(b'%d' % level for level in IDS.flat)
    for data, backend in ((binary, 'pillow'), (binary, 'cv2'), (text, 'pillow')):
        assert decode_labels(data, backend)[0].tolist() == IDS.tolist()


def test_every_level_of_a_pgm_is_told_apart():
    for highest in (1, 100, 254, 1000):
        levels = np.arange(highest + 1, dtype='>u1' if highest < 256 else '>u2')
        data = b'P5 %d 1 %d\n' % (len(levels), highest) + levels.tobytes()
        assert decode_labels(data)[0].tolist() == [levels.tolist()]
