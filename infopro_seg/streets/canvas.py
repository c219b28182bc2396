"""The picture being drawn and the polygons that label it."""

from collections.abc import Iterator
from contextlib import contextmanager
from math import exp
from typing import Any

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from infopro_seg.streets.camera import Camera, Floats
from infopro_seg.streets.mood import Mood
from infopro_seg.streets.noise import patch

SHIFT = 4  # fractional bits of the coordinates given to OpenCV


class Canvas:
    """Paints shapes, and keeps the outline of every labelled object.

    Shapes are painted back to front, in the image as in the labels. Colours are RGB in [0, 1]. The canvas
    adds light and haze, so callers give the colour of the material.

    Args:
        camera: camera of the scene.
        mood: light of the scene.
        rng: random numbers for textures.
        scale: number of pixels to paint along each side of a pixel of the final image.
    """

    def __init__(self, camera: Camera, mood: Mood, rng: np.random.Generator, scale: int) -> None:
        self.camera = camera
        self.mood = mood
        self.rng = rng
        self.scale = scale
        shape = (camera.height * scale, camera.width * scale, 3)
        self.image: NDArray[np.uint8] = np.zeros(shape, dtype=np.uint8)
        self.objects: list[dict[str, Any]] = []
        self._outline: list[Floats] | None = None

    # -- labels ---------------------------------------------------------------------------

    @contextmanager
    def object(self, label: str) -> Iterator[None]:
        """A context in which all that is filled or outlined becomes one object with a label."""
        outer, self._outline = self._outline, []
        yield
        self._label(label, self._outline)
        self._outline = outer

    def outline(self, points: Floats) -> None:
        """Adds pixels `(N, 2)` to the current object without painting them."""
        if self._outline is not None:
            self._outline.append(np.asarray(points, dtype=np.float64))

    def _label(self, label: str, shapes: list[Floats]) -> None:
        if not shapes:
            return
        corners = np.concatenate(shapes)
        last = np.array([self.camera.width - 1, self.camera.height - 1])
        first, final = corners.min(axis=0), corners.max(axis=0)
        if (final < 0).any() or (first > last).any():
            return
        low = np.clip(np.floor(first) - 1, 0, last).astype(int)
        high = np.clip(np.ceil(final) + 1, 0, last).astype(int)
        mask = np.zeros((high - low + 1)[::-1], dtype=np.uint8)
        for shape in shapes:
            cv2.fillPoly(mask, [_fixed(shape - low)], 255, cv2.LINE_AA, SHIFT)
        _, mask = cv2.threshold(mask, 127, 255, cv2.THRESH_BINARY)
        contours, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
        for contour in contours:
            polygon = cv2.approxPolyDP(contour, 0.6, True)[:, 0, :] + low
            if len(polygon) >= 3:
                self.objects.append({'label': label, 'polygon': polygon.tolist()})

    # -- paint ----------------------------------------------------------------------------

    def tone(self, color: ArrayLike, depth: float, light: ArrayLike = 1.0) -> list[float]:
        """The 8-bit RGB of a lit colour `(3,)` at a depth in metres."""
        clear = exp(-depth / self.mood.visibility)
        lit = np.asarray(color) * light
        return [
            255 * min(max(float(value) * clear + haze * (1 - clear), 0.0), 1.0)
            for value, haze in zip(lit, self.mood.haze, strict=True)
        ]

    def fill(self, points: Floats, color: ArrayLike, depth: float, light: ArrayLike = 1.0) -> None:
        """Paints a polygon `(N, 2)`, and adds it to the outline of the current object."""
        self.outline(points)
        self.paint(points, color, depth, light)

    def paint(self, points: Floats, color: ArrayLike, depth: float, light: ArrayLike = 1.0) -> None:
        """Paints a polygon `(N, 2)` without adding it to the outline."""
        tone = self.tone(color, depth, light)
        cv2.fillPoly(self.image, [self._scaled(points)], tone, cv2.LINE_AA, SHIFT)

    def paint_many(
        self, polygons: Floats, colors: Floats, depth: Floats | float, light: ArrayLike = 1.0
    ) -> None:
        """Paints polygons `(M, N, 2)` in their colours `(M, 3)`, in this order."""
        tones = np.clip(self.mood.fade(colors * np.asarray(light), depth), 0, 1) * 255
        points = self._scaled(polygons)
        size = np.array([self.camera.width, self.camera.height]) * self.scale << SHIFT
        low, high = points.min(axis=1), points.max(axis=1)
        seen = ((high > 0) & (low < size)).all(axis=1) & ((high - low).max(axis=1) > 1 << SHIFT)
        for point, tone, draw in zip(points, tones.tolist(), seen.tolist(), strict=True):
            if draw:
                cv2.fillPoly(self.image, [point], tone, cv2.LINE_AA, SHIFT)

    def sees(self, points: Floats) -> bool:
        """Whether pixels `(N, 2)` span a box that overlaps the image."""
        low, high = points.min(axis=0), points.max(axis=0)
        inside = high[0] >= 0 and high[1] >= 0
        return bool(inside and low[0] < self.camera.width and low[1] < self.camera.height)

    def stroke(
        self,
        points: Floats,
        width: float,
        color: ArrayLike,
        depth: float,
        light: ArrayLike = 1.0,
        closed: bool = False,
    ) -> None:
        """Paints a line through points `(N, 2)`, `width` pixels wide, without adding it to the outline."""
        cv2.polylines(
            self.image,
            [self._scaled(points)],
            closed,
            self.tone(color, depth, light),
            max(round(width * self.scale), 1),
            cv2.LINE_AA,
            SHIFT,
        )

    def dots(self, centers: Floats, radii: Floats, colors: Floats, depth: float) -> None:
        """Paints discs `(N, 2)` of radii `(N,)` pixels in lit colours `(N, 3)`."""
        tones = np.clip(self.mood.fade(colors, depth), 0, 1) * 255
        points = self._scaled(centers)
        sizes = np.maximum(radii * self.scale * (1 << SHIFT), 1 << SHIFT - 1).astype(int)
        for point, size, tone in zip(points.tolist(), sizes.tolist(), tones.tolist(), strict=True):
            cv2.circle(self.image, point, size, tone, -1, cv2.LINE_AA, SHIFT)

    # -- texture --------------------------------------------------------------------------

    def cover(self, points: Floats) -> tuple[tuple[slice, slice], NDArray[np.float32]] | None:
        """The window around a polygon `(N, 2)` and its share of each pixel there; None if it is too small."""
        fixed = self._scaled(points)
        height, width = self.image.shape[:2]
        low = np.clip(fixed.min(axis=0) >> SHIFT, 0, [width, height])
        high = np.clip((fixed.max(axis=0) >> SHIFT) + 2, 0, [width, height])
        if (high - low < 2).any():
            return None
        mask = np.zeros((high - low)[::-1], dtype=np.uint8)
        cv2.fillPoly(mask, [fixed - (low << SHIFT).astype(np.int32)], 255, cv2.LINE_AA, SHIFT)
        window = (slice(low[1], high[1]), slice(low[0], high[0]))
        return window, mask * np.float32(1 / 255)

    def modulate(self, points: Floats, strength: float, slope: float, cell: float) -> None:
        """Lightens and darkens a painted polygon by noise with grains of `cell` pixels."""
        covered = self.cover(points)
        if covered is None:
            return
        window, mask = covered
        noise = patch(self.rng, mask.shape, slope, max(cell * self.scale, 1.0))
        self._multiply(window, 1 + strength * noise * mask)

    def glaze(self, points: Floats, color: ArrayLike, alpha: float, depth: float) -> None:
        """Paints a translucent polygon `(N, 2)`."""
        covered = self.cover(points)
        if covered is None:
            return
        window, mask = covered
        region = self.image[window]
        share = (mask * alpha)[..., None]
        tone = np.array(self.tone(color, depth), dtype=np.float32)
        region[:] = (region * (1 - share) + tone * share).astype(np.uint8)

    def project_texture(self, points: Floats, texture: NDArray[np.float32]) -> None:
        """Multiplies a painted quad `(4, 2)` by a texture of mean 1 seen in perspective.

        Args:
            points: its corners: bottom left, bottom right, top right, top left.
            texture: brightness `(height, width)`, its last row at the bottom.
        """
        covered = self.cover(points)
        if covered is None:
            return
        window, mask = covered
        height, width = texture.shape
        source = np.array([[0, height], [width, height], [width, 0], [0, 0]], dtype=np.float32)
        offset = np.array([window[1].start, window[0].start])
        target = (points * self.scale - offset).astype(np.float32)
        matrix = cv2.getPerspectiveTransform(source, target)
        seen = cv2.warpPerspective(
            texture, matrix, mask.shape[::-1], flags=cv2.INTER_AREA, borderMode=cv2.BORDER_REFLECT
        )
        self._multiply(window, 1 + (np.asarray(seen, dtype=np.float32) - 1) * mask)

    def _multiply(self, window: tuple[slice, slice], factor: NDArray[np.float32]) -> None:
        region = self.image[window]
        np.clip(region * factor[..., None], 0, 255, out=region, casting='unsafe')

    def _scaled(self, points: Floats) -> NDArray[np.int32]:
        return _fixed(np.asarray(points) * self.scale + (self.scale - 1) / 2)


def _fixed(points: Floats) -> NDArray[np.int32]:
    return np.rint(points * (1 << SHIFT)).astype(np.int32)
