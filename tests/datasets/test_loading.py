import pytest

from infopro_seg.datasets.loading import LoadImage
from infopro_seg.errors import DataError


@pytest.mark.parametrize('content', [b'', b'hello'])
def test_a_file_that_is_no_image_is_named(tmp_path, content):
    path = tmp_path / 'broken.png'
    path.write_bytes(content)
    with pytest.raises(DataError, match=r'cannot read the image .*broken\.png: .*; replace or remove it'):
        LoadImage().transform({'img_path': str(path)})
