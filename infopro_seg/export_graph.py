"""A trained network as one graph without Python: ONNX, or a `torch.export` program."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from mmcv.transforms import Resize
from mmseg.models.decode_heads import PointHead
from torch import Tensor, nn

from infopro_seg.config_edits import height_and_width
from infopro_seg.drawing.palette import colours
from infopro_seg.errors import CheckpointError, ConfigError, UserError
from infopro_seg.evaluation.label_images import label_ids
from infopro_seg.evaluation.pipelines import is_step, test_pipeline
from infopro_seg.files import whole_file
from infopro_seg.graph_sizes import ENOUGH, STEP
from infopro_seg.strict_json import to_json, write_json

PACKAGES = ('onnx', 'onnxscript', 'onnxruntime')
THRESHOLD = 0.3  # mmseg's default for a head with one output channel
TOLERANCE = 1e-3  # relative and absolute difference of logits between two runtimes in float32


class Network(nn.Module):
    """The exported network: normalised images (N, 3, H, W) to logits (N, classes, H, W)."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        heads = (
            list(model.decode_head) if isinstance(model.decode_head, nn.ModuleList) else [model.decode_head]
        )
        if any(isinstance(head, PointHead) for head in heads):
            raise UserError(
                'PointRend refines its prediction in a loop, which a graph cannot express; use --format mmseg'
            )
        self.model = model.eval()

    def forward(self, image: Tensor) -> Tensor:
        """The logits of a normalised image (1, 3, H, W) at its own size, (1, C, H, W)."""
        logits = self.model._forward(image)
        corners = self.model.align_corners
        return F.interpolate(logits, size=image.shape[2:], mode='bilinear', align_corners=corners)


def require_onnx() -> None:
    """Checks that the packages for an ONNX export are installed.

    Raises:
        UserError: a package is missing.
    """
    missing = [package for package in PACKAGES if find_spec(package) is None]
    if missing:
        raise UserError(
            f'--format onnx needs the package{"s" * (len(missing) > 1)} {", ".join(missing)}: '
            f'pip install {" ".join(missing)}'
        )


def export_program(model: Any, out: Path, size: tuple[int, int], meta: dict[str, Any]) -> bool:
    """Writes a `torch.export` program, checked against the model, and its metadata beside it.

    Args:
        model: a stock segmentor.
        out: the `.pt2` to write.
        size: height and width of a usual input, in pixels, multiples of 32.
        meta: metadata, see :func:`metadata`.

    Returns:
        Whether the program also takes other sizes (multiples of 32).
    """
    network = Network(model)
    program, dynamic = capture(network, size)
    for inputs in _inputs(size, dynamic):
        with torch.no_grad():
            _require_close(network(inputs), program.module()(inputs))
    meta = {**meta, 'size': None if dynamic else list(size)}
    with whole_file(out) as partial, open(partial, 'wb') as file:
        torch.export.save(program, file, extra_files={'metadata.json': to_json(meta, indent=None)})
    write_json(out.with_suffix('.json'), meta)
    return dynamic


def export_onnx(model: Any, out: Path, size: tuple[int, int], meta: dict[str, Any]) -> bool:
    """Writes an ONNX model, checked against the model with onnxruntime; otherwise as :func:`export_program`.

    Raises:
        UserError: a package is not installed.
    """
    require_onnx()
    network = Network(model)
    program, dynamic = capture(network, size)
    with whole_file(out) as partial:
        try:
            _write_onnx(program, partial, meta, None if dynamic else size)
            _check_onnx(network, partial, size, dynamic)
        except Exception:  # exporter and runtime raise various errors for operators with a fixed size
            if not dynamic:
                raise
            dynamic = False
            _write_onnx(_capture(network, size, None), partial, meta, size)
            _check_onnx(network, partial, size, dynamic)
    meta = {**meta, 'size': None if dynamic else list(size)}
    write_json(out.with_suffix('.json'), meta)
    return dynamic


def capture(network: nn.Module, size: tuple[int, int]) -> tuple[torch.export.ExportedProgram, bool]:
    """The graph of a network, and whether it takes any size; that depends on the operators."""
    height, width = (STEP * torch.export.Dim(name, min=2, max=ENOUGH // STEP) for name in ('rows', 'columns'))
    try:
        return _capture(network, size, {2: height, 3: width}), True
    except Exception:  # torch.export has no specific error for graphs with a fixed size
        return _capture(network, size, None), False


def metadata(dataset: Mapping[str, Any], config: Any) -> dict[str, Any]:
    """What users of a graph need: the classes, the preparation of images, and the meaning of logits.

    Args:
        dataset: the `metainfo` of the data that the network was trained on.
        config: the stock config.
    """
    preprocessor = config.model.get('data_preprocessor') or {}
    classes = list(dataset['classes'])
    heads = config.model['decode_head']
    head = heads[-1] if isinstance(heads, (list, tuple)) else heads
    binary = head.get('out_channels') == 1 and len(classes) == 2
    converts = preprocessor.get('bgr_to_rgb') or preprocessor.get('rgb_to_bgr')  # mmcv loads BGR
    found = {
        'classes': classes,
        'palette': colours(dataset.get('palette'), len(classes)).tolist(),
        'label_ids': label_ids(dataset).tolist(),
        'mean': [float(value) for value in preprocessor.get('mean') or (0, 0, 0)],
        'std': [float(value) for value in preprocessor.get('std') or (1, 1, 1)],
        'channels': 'RGB' if converts else 'BGR',
        'input': 'image: (1, 3, H, W) float32, (0 to 255 - mean) / std; H and W multiples of 32',
        'output': 'logits: (1, classes, H, W) float32; the class of a pixel has the largest',
    }
    found['prediction'] = {**_prediction(config), 'align_corners': bool(head.get('align_corners', False))}
    if binary:
        threshold = head.get('threshold')
        found['threshold'] = THRESHOLD if threshold is None else threshold
        found['output'] = 'logits: (1, 1, H, W) float32; the second class is where their sigmoid > threshold'
    return found


def _prediction(config: Any) -> dict[str, Any]:
    """How the config predicts images: their resizing, windows, and the crops of the training."""
    test_cfg = config.model.get('test_cfg') or {}
    crop = config.get('crop_size') or (config.model.get('data_preprocessor') or {}).get('size')
    sides = list(height_and_width(crop)) if crop else None
    found = {'mode': test_cfg.get('mode', 'whole'), 'crop_size': sides}
    if found['mode'] == 'slide':
        found |= {key: list(test_cfg[key]) for key in ('crop_size', 'stride')}
    try:
        steps = test_pipeline(config)
    except ConfigError:  # the config contains only a network
        steps = []
    resizing = [dict(step) for step in steps if is_step(step, Resize)]
    return {**found, 'resize': [{key: step[key] for key in step if key != 'type'} for step in resizing]}


def _capture(network: nn.Module, size: tuple[int, int], dynamic: Any) -> torch.export.ExportedProgram:
    with torch.no_grad():
        return torch.export.export(
            network, (torch.zeros(1, 3, *size),), dynamic_shapes=None if dynamic is None else (dynamic,)
        )


def _inputs(size: tuple[int, int], dynamic: bool) -> list[Tensor]:
    """Images for the comparison: of two sizes, or of the only size."""
    random = torch.Generator().manual_seed(0)
    sizes = [size, (size[0] + 2 * STEP, size[1] + STEP)] if dynamic else [size]
    return [torch.randn(1, 3, *one, generator=random) for one in sizes]


def _write_onnx(
    program: torch.export.ExportedProgram, out: Path, meta: dict[str, Any], size: tuple[int, int] | None
) -> None:
    import onnx

    with warnings.catch_warnings():
        warnings.simplefilter('ignore', FutureWarning)  # of torch, about torch
        logging.getLogger('torch.onnx').setLevel(logging.ERROR)  # torchvision's operators: none is used
        written: Any = torch.onnx.export(
            program, dynamo=True, input_names=['image'], output_names=['logits'], verbose=False
        )
    model = written.model_proto
    for key, value in {**meta, 'size': size}.items():
        entry = model.metadata_props.add()
        entry.key, entry.value = key, value if isinstance(value, str) else to_json(value, indent=None).strip()
    onnx.checker.check_model(model)
    onnx.save(model, str(out), format='protobuf')


def _check_onnx(network: nn.Module, out: Path, size: tuple[int, int], dynamic: bool) -> None:
    import onnxruntime

    session = onnxruntime.InferenceSession(str(out), providers=['CPUExecutionProvider'])
    for inputs in _inputs(size, dynamic):
        with torch.no_grad():
            expected = network(inputs)
        [given] = session.run(None, {'image': inputs.numpy()})
        _require_close(expected, torch.from_numpy(given))


def _require_close(expected: Tensor, given: Tensor) -> None:
    if expected.shape != given.shape or not torch.allclose(expected, given, TOLERANCE, TOLERANCE):
        difference = (expected - given).abs().max() if expected.shape == given.shape else float('nan')
        raise CheckpointError(
            f'the logits of the exported graph differ from PyTorch (largest difference {difference:.3g}); '
            'nothing was kept. Please report this with the config'
        )
