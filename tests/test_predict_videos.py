"""Videos and folders of frames: the overlay of each frame, and what becomes of a video that ends early."""

import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from infopro_seg.drawing.overlay import overlay
from infopro_seg.errors import OutputError, UserError
from infopro_seg.predict import Ways, predict
from infopro_seg.prediction import video_files
from infopro_seg.prediction.video_files import OverlayVideo, VideoFile
from tests.predictors import WHOLE, load_once, picture, save_network

SIZE, COUNT = (48, 64), 10


@pytest.fixture(scope='module')
def network(tmp_path_factory):
    return save_network(tmp_path_factory.mktemp('whole'), WHOLE)


@pytest.fixture(autouse=True)
def loaded_once(monkeypatch):
    load_once(monkeypatch)


@pytest.fixture
def written(monkeypatch):
    """The frames given to the encoder, which changes them."""
    frames = []
    write = OverlayVideo.write

    def note(video, frame):
        frames.append(frame.copy())
        write(video, frame)

    monkeypatch.setattr(OverlayVideo, 'write', note)
    return frames


@pytest.fixture(scope='module')
def video(tmp_path_factory):
    """Motion JPEG, of which each frame stands alone."""
    path = tmp_path_factory.mktemp('video') / 'drive.avi'
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*'MJPG'), 12, SIZE[::-1])
    for seed in range(COUNT):
        writer.write(picture(*SIZE, seed))
    writer.release()
    return path


def frames_of(path):
    return [frame.copy() for frame in VideoFile(path)]


def overlays(network, frames):
    predictor = network.predictor()
    rgb = [np.ascontiguousarray(frame[..., ::-1]) for frame in frames]
    return [overlay(one, predictor.predict(one), predictor.palette)[..., ::-1] for one in rgb]


def run(network, path, out, **ways):
    return predict(network.config, network.checkpoint, [path], out, 'cpu', ways=Ways(**ways))


@pytest.mark.parametrize('batch', [1, 4])
def test_each_frame_gets_its_overlay(network, video, tmp_path, written, batch, capsys):
    assert run(network, video, tmp_path, batch=batch) == []
    expected = overlays(network, frames_of(video))
    assert len(written) == COUNT
    for one, other in zip(written, expected, strict=True):
        assert np.abs(one.astype(int) - other).max() <= (0 if batch == 1 else 255)
        assert np.mean(one != other) < 0.01  # of a batch, sums round otherwise
    result = VideoFile(tmp_path / 'drive_overlay.mp4')
    assert (result.count, result.fps) == (COUNT, 12)
    shown = frames_of(tmp_path / 'drive_overlay.mp4')
    assert np.abs(shown[0].astype(int) - expected[0]).mean() < 25
    assert '1 of 1 videos predicted' in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ['drive_overlay.mp4']


def test_a_folder_of_frames_is_a_video_in_the_order_of_its_numbers(network, tmp_path, written):
    folder = tmp_path / 'frames'
    folder.mkdir()
    frames = [picture(*SIZE, seed) for seed in range(3)]
    for name, frame in zip(('f2', 'f10', 'f9'), (frames[0], frames[2], frames[1]), strict=True):
        cv2.imwrite(str(folder / f'{name}.png'), frame)
    assert run(network, folder, tmp_path / 'out', video=True, fps=5) == []
    assert np.array_equal(written, overlays(network, frames))
    result = VideoFile(tmp_path / 'out/frames_overlay.mp4')
    assert (result.count, result.fps) == (3, 5)


def test_results_of_an_earlier_prediction_are_no_frames(network, tmp_path, written, capsys):
    folder = tmp_path / 'frames'
    folder.mkdir()
    frames = [picture(*SIZE, seed) for seed in range(2)]
    for index, frame in enumerate(frames):
        cv2.imwrite(str(folder / f'{index}.png'), frame)
    cv2.imwrite(str(folder / '1_overlay.png'), frames[0])  # the user's own, in spite of its name
    assert predict(network.config, network.checkpoint, [folder / '0.png'], folder, 'cpu') == []
    assert {path.name for path in folder.glob('0_*')} == {'0_labels.png', '0_overlay.png'}
    assert run(network, folder, tmp_path / 'out', video=True) == []
    assert np.array_equal(written, overlays(network, [*frames, frames[0]]))
    assert f'2 results of earlier predictions are left out, e.g. {folder / "0_labels.png"}' in (
        capsys.readouterr().err
    )


def test_a_video_that_ends_early_keeps_its_frames(network, video, tmp_path, written, capsys):
    cut = tmp_path / 'cut.avi'
    content = video.read_bytes()
    cut.write_bytes(content[: len(content) // 2])
    count = len(frames_of(cut))
    assert 1 < count < COUNT - 1
    assert run(network, cut, tmp_path / 'out', batch=count - 1) == [cut]
    told = capsys.readouterr().err
    result = tmp_path / 'out/cut_overlay.mp4'
    assert f'incomplete: {cut} ends early: {count} of its {COUNT} frames can be read; ' in told
    assert f'the overlays of the first {count} are kept in {result}' in told
    assert '0 of 1 videos predicted' in told
    assert VideoFile(result).count == len(written) == count


@pytest.mark.parametrize('wrong', ['unreadable', 'of another size'])
def test_a_frame_that_is_wrong_ends_the_video_there(network, tmp_path, wrong, capsys):
    folder = tmp_path / 'frames'
    folder.mkdir()
    for index in range(4):
        cv2.imwrite(str(folder / f'{index}.png'), picture(*SIZE, index))
    if wrong == 'unreadable':
        (folder / '3.png').write_bytes(b'no image')
    else:
        cv2.imwrite(str(folder / '3.png'), picture(48, 32))
    assert run(network, folder, tmp_path / 'out', video=True, batch=2) == [folder]
    told = capsys.readouterr().err
    assert f'{folder / "3.png"}' in told
    assert 'Of 4 frames the overlays of the first 3 are kept' in told
    assert VideoFile(tmp_path / 'out/frames_overlay.mp4').count == 3


def test_what_is_no_video_is_skipped_and_the_others_are_predicted(network, video, tmp_path, capsys):
    broken = tmp_path / 'broken.mp4'
    broken.write_bytes(b'no video')
    (tmp_path / 'empty').mkdir()
    given = [broken, video, tmp_path / 'empty']
    ways = Ways(video=True)
    assert predict(network.config, network.checkpoint, given, tmp_path / 'out', 'cpu', ways=ways) == [
        broken,
        tmp_path / 'empty',
    ]
    told = capsys.readouterr().err
    assert f'skipped: cannot read the video {broken}: ' in told
    assert f'skipped: no frames in {tmp_path / "empty"}' in told
    assert [path.name for path in (tmp_path / 'out').iterdir()] == ['drive_overlay.mp4']
    with pytest.raises(UserError, match='no such video or folder of frames: nowhere'):
        run(network, Path('nowhere'), tmp_path / 'none', video=True)


def test_images_beside_videos_are_counted_with_them(network, video, tmp_path, capsys):
    cv2.imwrite(str(tmp_path / 'a.png'), picture(48, 64))
    given = [tmp_path / 'a.png', video]
    assert predict(network.config, network.checkpoint, given, tmp_path / 'out', 'cpu') == []
    assert '2 of 2 images and videos predicted' in capsys.readouterr().err


def test_a_full_disk_leaves_no_video(network, video, tmp_path, monkeypatch):
    """As a full disk would have it, which OpenCV does not report: frames are missing in the file."""
    monkeypatch.setattr(video_files, 'frames_in', lambda path: COUNT - 1)
    with pytest.raises(
        OutputError, match=rf'drive_overlay\.mp4: 9 of {COUNT} frames are in the file; make room'
    ):
        run(network, video, tmp_path / 'out')
    assert [*(tmp_path / 'out').iterdir()] == []


def test_a_video_is_never_replaced(network, video, tmp_path):
    copy = tmp_path / 'a_overlay.mp4'
    shutil.copy(video, copy)
    (tmp_path / 'a').mkdir()
    with pytest.raises(UserError, match=r'would replace .*a_overlay\.mp4, which is also an input'):
        predict('net.py', 'net.pth', [tmp_path / 'a', copy], tmp_path, ways=Ways(video=True))
