"""Exported networks run on the device that was asked for, or say why not."""

import onnxruntime
import pytest

from infopro_seg.errors import UserError
from infopro_seg.prediction import onnx_network

GPU = 'CUDAExecutionProvider'


@pytest.fixture
def sessions(monkeypatch):
    """The providers of each session, of an onnxruntime that has a GPU unless `.clear()` is called."""
    has, asked = [GPU], []

    class Session:
        """Notes its arguments."""

        def __init__(self, path, options, providers):
            asked.append(providers)

        def get_providers(self):
            """The providers that it found."""
            return [*has, 'CPUExecutionProvider']

    monkeypatch.setattr(onnxruntime, 'InferenceSession', Session)
    monkeypatch.setattr(onnxruntime, 'get_available_providers', lambda: [GPU, 'CPUExecutionProvider'])
    return has, asked


@pytest.mark.parametrize(('device', 'index'), [(None, 0), ('cuda', 0), ('cuda:1', 1)], ids=str)
def test_the_gpu_is_the_one_that_was_asked_for(sessions, tmp_path, device, index):
    onnx_network._session(tmp_path / 'a.onnx', device)
    assert sessions[1] == [[(GPU, {'device_id': index}), 'CPUExecutionProvider']]


def test_a_gpu_that_does_not_work_is_named_only_if_it_was_asked_for(sessions, tmp_path):
    sessions[0].clear()
    onnx_network._session(tmp_path / 'a.onnx', None)
    with pytest.raises(UserError, match='--device cuda:1 cannot be used: onnxruntime finds no such GPU'):
        onnx_network._session(tmp_path / 'a.onnx', 'cuda:1')


@pytest.mark.parametrize('device', ['gpu', 'cuda:x', 'cuda:-1'])
def test_what_is_no_device_is_named(sessions, tmp_path, device):
    with pytest.raises(UserError, match=f'--device {device} cannot be used'):
        onnx_network._session(tmp_path / 'a.onnx', device)
