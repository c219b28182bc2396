"""Reads the headers of image files: format, size, samples, EXIF orientation."""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from contextlib import suppress
from dataclasses import dataclass
from typing import BinaryIO

from PIL import Image
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from infopro_seg.datasets.pgm import LONGEST, scaled_from

PNG, JPEG, RIFF = b'\x89PNG\r\n\x1a\n', b'\xff\xd8\xff', b'RIFF'
TIFF = (b'II*\0', b'MM\0*', b'II+\0', b'MM\0+')
ANIMATED, AVIS = (b'GIF8', PNG, RIFF), b'ftypavis'
FLOAT = (b'#?RADIANCE', b'#?RGBE', b'PF\n', b'Pf\n', b'v/1\x01')  # Radiance HDR, PFM, OpenEXR

ENDS = {PNG: b'IEND\xaeB`\x82', JPEG: b'\xff\xd9'}
"""How whole files end, by how they start."""

MOST_EXIF = 2**16  # bytes
MOST_PALETTE = 3 * 2**8  # bytes
ORIENTATION = 0x0112  # EXIF and TIFF tag
PNG_KINDS = {0: 'gray', 2: 'RGB', 3: 'palette', 4: 'gray+alpha', 6: 'RGBA'}
KINDS = {'L': 'gray', 'P': 'palette', 'LA': 'gray+alpha', '1': 'gray', 'I': 'gray', 'F': 'gray'}
DEPTHS = {'1': 1, 'I;16': 16, 'I;16B': 16, 'I;16L': 16, 'I': 32, 'F': 32}
SAMPLES = {1: 'unsigned', 2: 'signed', 3: 'float'}  # TIFF's SampleFormat
TIFF_KINDS = {1: 'gray', 3: 'RGB'}  # by number of bands, if the file says nothing else
WIDTH = 256  # TIFF tag
NO_PAGE = 1 | 4  # bits of TIFF's NewSubfileType: a smaller copy, a mask
LOSSY_TIFF = (6, 7, 34892)  # kinds of JPEG among TIFF's compressions

FAILURES = (
    *(OSError, SyntaxError, ValueError, EOFError, KeyError, TypeError, struct.error, MemoryError),
    Image.DecompressionBombError,
)
"""What Pillow raises for files that it cannot read."""

Image.MAX_IMAGE_PIXELS = None  # the user's own images are not an attack, however large
warnings.filterwarnings('ignore', category=Image.DecompressionBombWarning)


@dataclass(frozen=True)
class Header:
    """What is known about an image file.

    Args:
        kind: 'gray', 'RGB', 'palette', ... or 'unknown'.
        bits: bits of a sample.
        sample: 'unsigned', 'signed' or 'float'.
        size: width and height in pixels as viewers show the image, turned upright; None if unknown.
        orientation: EXIF's, 1 to 8; 1 is upright.
        bands: samples per pixel.
        tiff: whether it is a TIFF; decoders always rotate these upright.
        lossy: whether its compression changes values.
        whole: whether the file has the end that its format requires.
        palette: the colours of a PNG with a palette, three bytes each.
        scaled: the highest level of a PGM whose levels Pillow scales; 0 for others.
    """

    kind: str = 'unknown'
    bits: int = 8
    sample: str = 'unsigned'
    size: tuple[int, int] | None = None
    orientation: int = 1
    bands: int = 3
    tiff: bool = False
    lossy: bool = False
    whole: bool = True
    palette: bytes = b''
    scaled: int = 0

    @property
    def mode(self) -> str:
        """Channels and bit depth, e.g. 'RGB 8 bit'."""
        if self.kind == 'unknown':
            return 'unknown'
        sample = '' if self.sample == 'unsigned' else f' {self.sample}'
        return f'{self.kind} {self.bits} bit{sample}'

    @property
    def stored_size(self) -> tuple[int, int] | None:
        """Width and height before the image is rotated by its orientation."""
        return self.size[::-1] if self.size and self.orientation >= 5 else self.size


def read_header(source: bytes | BinaryIO) -> Header:
    """Reads the beginning of an image file, and as little else as possible.

    A damaged file, or one that is not an image, gives a header of kind 'unknown'; decoding will tell why.
    """
    file = io.BytesIO(source) if isinstance(source, bytes) else source
    start = file.read(12)
    try:
        if start.startswith(PNG):
            return _png(file)
        if start.startswith(TIFF):
            return _tiff(file)
        if start.startswith(FLOAT):
            return Header(bits=32, sample='float')
        return _other(file, start)
    except FAILURES:
        return Header()


def _png(file: BinaryIO) -> Header:
    """Reads the first and last chunks; Pillow would decompress all pixels to find the orientation."""
    file.seek(16)
    width, height, bits, kind = struct.unpack('>IIBB', file.read(10))
    file.seek(33)
    exif, palette = None, b''
    while len(chunk := file.read(8)) == 8:
        length, name = struct.unpack('>I4s', chunk)
        if name == b'eXIf':
            exif = file.read(length)
        if name in (b'IDAT', b'IEND', b'eXIf'):
            break
        following = file.tell() + length + 4
        if name == b'PLTE':
            palette = file.read(min(length, MOST_PALETTE))
        file.seek(following)
    end = _last(file, MOST_EXIF)
    orientation = _orientation(exif or _late_exif(end))
    names = PNG_KINDS[kind]
    bands = {'gray': 1, 'palette': 1, 'gray+alpha': 2, 'RGB': 3, 'RGBA': 4}[names]
    size = (height, width) if orientation >= 5 else (width, height)
    whole = ENDS[PNG] in end
    return Header(names, bits, 'unsigned', size, orientation, bands, whole=whole, palette=palette)


def _late_exif(end: bytes) -> bytes:
    """The EXIF data that a PNG may have after its pixels."""
    start = end.rfind(b'eXIf') + 4
    if start < 8:
        return b''
    [length] = struct.unpack('>I', end[start - 8 : start - 4])
    data, checksum = end[start : start + length], end[start + length : start + length + 4]
    return data if checksum == struct.pack('>I', zlib.crc32(b'eXIf' + data)) else b''


def _tiff(file: BinaryIO) -> Header:
    """Reads the tags; Pillow rejects many TIFFs that OpenCV reads, without saying why."""
    directory = _directories(file)
    file.seek(directory.next)
    directory.load(file)
    width, height = int(directory[WIDTH]), int(directory[257])
    bands = int(directory.get(277, 1))
    extra = tuple(directory.get(338, ()))
    depths, samples = directory.get(258, (1,)), directory.get(339, (1,))
    kind = TIFF_KINDS.get(bands, f'{bands} bands')
    alpha = any(use in (1, 2) for use in extra)
    if directory.get(262) == 3:
        kind = 'palette'
    elif bands in (2, 4) and alpha:
        kind = 'gray+alpha' if bands == 2 else 'RGBA'
    elif directory.get(262) == 5 and bands == 4:
        kind = 'CMYK'
    orientation = _valid(directory.get(ORIENTATION))
    size = (height, width) if orientation >= 5 else (width, height)
    sample = SAMPLES.get(_first(samples), 'unsigned')
    lossy = directory.get(259) in LOSSY_TIFF
    return Header(kind, _first(depths), sample, size, orientation, bands, tiff=True, lossy=lossy)


def _directories(file: BinaryIO) -> ImageFileDirectory_v2:
    """The directory of a TIFF whose `next` is the place of the first one."""
    file.seek(0)
    start = file.read(8)
    return ImageFileDirectory_v2(start + file.read(8) if start[2] == 43 or start[3] == 43 else start)


def count_pages(source: bytes | BinaryIO) -> int:
    """The number of pages of a TIFF, without smaller copies and masks, or of frames of an animation.

    Decoders read the first. A damaged directory ends the count; a damaged animation counts as 0. Files of
    other kinds count as 1, unread.
    """
    file = io.BytesIO(source) if isinstance(source, bytes) else source
    pages, seen = 0, {0}
    start = file.read(12)
    if not start.startswith(TIFF):
        return _count_frames(file) if start.startswith(ANIMATED) or start[4:] == AVIS else 1
    with warnings.catch_warnings(), suppress(*FAILURES):
        warnings.simplefilter('ignore')
        directory = _directories(file)
        while directory.next and directory.next not in seen:
            seen.add(directory.next)
            file.seek(directory.next)
            directory.load(file)
            pages += WIDTH in directory and not int(directory.get(254, 0)) & NO_PAGE
    return pages


def _count_frames(file: BinaryIO) -> int:
    """The number of frames of an animation, by Pillow."""
    file.seek(0)
    with warnings.catch_warnings(), suppress(*FAILURES):
        warnings.simplefilter('ignore')
        with Image.open(file) as picture:
            return getattr(picture, 'n_frames', 1)
    return 0


def _other(file: BinaryIO, start: bytes) -> Header:
    """By Pillow."""
    lossy = start.startswith(JPEG)
    if start.startswith(RIFF):  # WebP
        file.seek(12)
        lossy = b'VP8 ' in file.read(4096)
    file.seek(0)
    scaled = scaled_from(file.read(LONGEST))
    file.seek(0)
    with Image.open(file) as picture:
        turns = start.startswith((JPEG, RIFF))
        orientation = _valid(picture.getexif().get(ORIENTATION)) if turns else 1
        kind = KINDS.get(picture.mode.split(';')[0], picture.mode)
        bits = DEPTHS.get(picture.mode, 8)
        size = picture.size[::-1] if orientation >= 5 else picture.size
        bands = len(picture.getbands())
        # some cameras write zeros behind the end
        whole = not start.startswith(JPEG) or _last(file, 4096).rstrip(b'\0').endswith(ENDS[JPEG])
        sample = 'float' if picture.mode == 'F' else 'unsigned'
        return Header(kind, bits, sample, size, orientation, bands, False, lossy, whole, scaled=scaled)


def _last(file: BinaryIO, count: int) -> bytes:
    file.seek(0, io.SEEK_END)
    file.seek(max(file.tell() - count, 0))
    return file.read()


def _orientation(exif: bytes) -> int:
    tags = Image.Exif()
    if exif:
        tags.load(b'Exif\0\0' + exif)
    return _valid(tags.get(ORIENTATION))


def _valid(value: object) -> int:
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _first(values: object) -> int:
    return int(values[0]) if isinstance(values, tuple) else int(str(values))
