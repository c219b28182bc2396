"""Road, pavements, grass and rails, and the shadows that fall on them."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from infopro_seg.streets.camera import Floats
from infopro_seg.streets.canvas import SHIFT, Canvas
from infopro_seg.streets.layout import Range, Street
from infopro_seg.streets.noise import look_up
from infopro_seg.streets.sky import END

KINDS = ('asphalt', 'cobbles', 'slabs', 'grass', 'gravel')


@dataclass(frozen=True)
class Shadow:
    """A box that casts a shadow: its footprint and height in metres."""

    x: Range
    z: Range
    height: float
    contact: bool = True


class Ground:
    """Paints the ground of a scene.

    Args:
        canvas: the canvas to draw on.
        rng: random numbers for colours and wear.
    """

    def __init__(self, canvas: Canvas, rng: np.random.Generator) -> None:
        self.canvas = canvas
        self.rng = rng
        camera = canvas.camera
        self.top = int(np.ceil(camera.horizon)) + 1
        self.near = 0.9 * float(camera.ground_depth(np.array(camera.height)))
        self.kinds = np.zeros(canvas.image.shape[:2], dtype=np.uint8)
        warm = rng.normal(0, 0.012)
        grey = rng.uniform(0.3, 0.46)
        self.road = np.array([grey + warm, grey, grey - warm])
        close = rng.uniform(0.02, 0.16) + grey
        self.walk = np.array([close + 0.03, close + rng.normal(0, 0.01), close - 0.02])
        self.grass = np.array([0.34, 0.41, 0.2]) + rng.normal(0, 0.035, 3)
        if rng.random() < 0.25:
            self.grass = np.array([0.46, 0.42, 0.27]) + rng.normal(0, 0.025, 3)
        self.shade = np.zeros((1, 1), dtype=np.uint8)
        self.surface = 'cobbles' if rng.random() < 0.2 else 'asphalt'

    def draw(self, street: Street) -> None:
        """Paints and labels the plan of a street."""
        rng = self.rng
        self.area('terrain', (-250, 250), (self.near, END), 'grass', self.grass)
        for verge in street.verges:
            self.area('sidewalk', (verge.kerb, verge.outer), (self.near, END), 'slabs', self.walk)
            for plot in verge.plots:
                if plot.kind == 'house':
                    wide = (verge.outer, verge.outer + verge.sign * 14)
                    self.area('sidewalk', wide, plot.z, 'slabs', self.walk)
            if verge.grass:
                self.area('terrain', (verge.kerb, verge.walk[0]), (self.near, END), 'grass', self.grass)
        left, right = (verge.kerb for verge in street.verges)
        if street.side_street:
            self.area('road', (-90, 90), street.side_street, self.surface, self.road)
        self.area('road', (left, right), (self.near, END), self.surface, self.road)
        if street.reserve:
            bed = np.array([0.42, 0.39, 0.36]) * rng.uniform(0.8, 1.1)
            if rng.random() < 0.4:
                self.area('rail track', street.reserve, (self.near, END), 'grass', self.grass * 0.95)
            else:
                self.area('rail track', street.reserve, (self.near, END), 'gravel', bed)
        for verge in street.verges:
            edge = np.clip(self.walk * 1.25, 0, 0.9)
            self.paint(
                (verge.kerb - verge.sign * 0.02, verge.kerb + verge.sign * 0.2), (self.near, END), edge
            )
        if street.rails is not None:
            for x in (street.rails - 0.72, street.rails + 0.72):
                self.paint((x - 0.12, x + 0.12), (self.near, 90), self.road * 0.62)
                self.paint((x - 0.04, x + 0.04), (self.near, 90), (0.68, 0.68, 0.7))
        self._markings(street)
        for _ in range(int(rng.integers(1, 6))):
            x, z = rng.uniform(left, right), rng.uniform(5, 30)
            size = rng.uniform(0.5, 3)
            self.paint((x, x + size), (z, z + size * 2), self.road * rng.uniform(0.8, 1.12))
        for _ in range(int(rng.integers(0, 3))):
            x, z = rng.uniform(left + 1, right - 1), rng.uniform(5, 18)
            angle = np.linspace(0, 2 * np.pi, 16)
            lid = np.c_[x + 0.35 * np.cos(angle), np.zeros(16), z + 0.35 * np.sin(angle)]
            self.canvas.paint(self.canvas.camera.project(lid), self.road * 0.55, 0.0, self.light)

    @property
    def light(self) -> Floats:
        """Light on the ground."""
        return self.canvas.mood.light(np.array([0.0, 1.0, 0.0]))

    def area(self, label: str, x: Range, z: Range, kind: str, color: Floats) -> None:
        """Paints and labels a rectangle of the ground."""
        quad = self._quad(x, z)
        with self.canvas.object(label):
            self.canvas.fill(quad, color, 0.0, self.light)
        scale = self.canvas.scale
        fixed = np.round((quad * scale + (scale - 1) / 2) * (1 << SHIFT)).astype(np.int32)
        cv2.fillPoly(self.kinds, [fixed], KINDS.index(kind), cv2.LINE_8, SHIFT)

    def paint(self, x: Range, z: Range, color: object) -> None:
        """Paints a rectangle of the ground, which keeps the label of the area below it."""
        if z[1] > self.near:
            self.canvas.paint(self._quad(x, z), np.asarray(color), 0.0, self.light)

    def _quad(self, x: Range, z: Range) -> Floats:
        near, far = max(z[0], self.near), max(z[1], self.near)
        points = [(x[0], 0, near), (x[1], 0, near), (x[1], 0, far), (x[0], 0, far)]
        return self.canvas.camera.project(np.array(points, dtype=np.float64))

    def _markings(self, street: Street) -> None:
        rng = self.rng
        white = np.full(3, rng.uniform(0.62, 0.85))
        phase, dash = rng.uniform(0, 6), rng.uniform(2.5, 4)
        for x, solid in street.lines:
            if solid:
                self.paint((x - 0.08, x + 0.08), (self.near, 100), white)
                continue
            for start in np.arange(phase, 100, dash * 2.2):
                self.paint((x - 0.08, x + 0.08), (start, start + dash), white)
        left, right = (verge.kerb for verge in street.verges)
        if rng.random() < 0.5:
            for verge in street.verges:
                x = verge.kerb - verge.sign * 0.35
                self.paint((x - 0.06, x + 0.06), (self.near, 100), white)
        if street.crossing is not None:
            for x in np.arange(left + 0.5, right - 0.5, 1.0):
                self.paint((x, x + 0.5), (street.crossing - 1.6, street.crossing + 1.6), white)
            ego = next(lane for lane in street.lanes if lane.ego)
            stop = street.crossing - 2.6
            self.paint((ego.x - 1.5, ego.x + 1.5), (stop, stop + 0.35), white)

    def finish(self, shadows: list[Shadow]) -> None:
        """Adds texture, shadows and haze, once all paint is on the ground."""
        canvas, camera, scale = self.canvas, self.canvas.camera, self.canvas.scale
        first = self.top * scale
        rows = np.arange(first, canvas.image.shape[0], dtype=np.float32)
        columns = np.arange(canvas.image.shape[1], dtype=np.float32)
        below = camera.ground_depth((rows - (scale - 1) / 2) / scale)
        depth: NDArray[np.float32] = below.astype(np.float32)[:, None]
        x = ((columns - (scale - 1) / 2) / scale - camera.center)[None] * depth / camera.focal
        factor = self._texture(x.astype(np.float32), depth, self.kinds[first:])
        mask = self._shadow_mask(shadows)
        factor *= 1 - mask[first:]
        clear = np.exp(-depth / np.float32(canvas.mood.visibility))[..., None]
        haze = np.array(canvas.mood.haze, dtype=np.float32) * 255
        image = canvas.image[first:]
        lit = image * (factor[..., None] * clear) + haze * (1 - clear)
        image[:] = np.clip(lit, 0, 255).astype(np.uint8)
        band = canvas.image[first - 4 * scale : first]
        band[:] = image[:1]

    def _texture(
        self, x: NDArray[np.float32], depth: NDArray[np.float32], kinds: NDArray[np.uint8]
    ) -> NDArray[np.float32]:
        z = np.ascontiguousarray(np.broadcast_to(depth, x.shape))
        offset = self.rng.uniform(0, 512, 2).astype(np.float32)
        grain = look_up(0.5, x * 40 + offset[0], z * 14 + offset[1])
        blotch = look_up(1.2, x * 9 + offset[1], z * 2.5 + offset[0])
        near = np.clip(22 / depth, 0, 1)
        table = np.array([[0.05, 0.06], [0.05, 0.05], [0.045, 0.045], [0.16, 0.14], [0.2, 0.05]])
        table = table.astype(np.float32)
        factor = 1 + table[kinds, 0] * grain * near + table[kinds, 1] * blotch
        seam = np.clip(14 / depth, 0, 1) * 0.16
        slabs = ((x % 0.8) < 0.045 + depth * 0.002) | ((depth % 0.8) < 0.06 + depth * 0.004)
        factor -= (slabs & (kinds == KINDS.index('slabs'))) * seam
        if self.surface == 'cobbles':
            stones = ((x + (depth // 0.35 % 2) * 0.12) % 0.24 < 0.05) | (depth % 0.35 < 0.07)
            factor -= (stones & (kinds == KINDS.index('cobbles'))) * (seam * 1.2)
        wear = np.cos((x - np.float32(self.rng.uniform(-0.3, 0.3))) * np.float32(2 * np.pi / 1.6))
        factor += np.float32(0.03) * wear * (kinds <= 1)
        return np.asarray(factor, dtype=np.float32)

    def _shadow_mask(self, shadows: list[Shadow]) -> NDArray[np.float32]:
        """The share of the light that shadows take away, drawn at half the resolution."""
        canvas, sun = self.canvas, self.canvas.mood.toward_sun
        height, width = self.canvas.image.shape[:2]
        cast = np.zeros((height // 2, width // 2), dtype=np.uint8)
        contact = np.zeros_like(cast)
        drift = -sun[[0, 2]] / max(sun[1], 0.15)
        for shadow in shadows:
            base = np.array([(x, z) for x in shadow.x for z in shadow.z])
            tip = base + np.clip(drift * shadow.height, -40, 40)
            self._drop(cast, np.concatenate([base, tip]))
            if shadow.contact:
                self._drop(contact, base)
        size = width / 2048
        self.shade = np.asarray(cv2.GaussianBlur(cast, (0, 0), max(1.2 * size, 0.5)), dtype=np.uint8)
        soft = cv2.GaussianBlur(contact, (0, 0), max(3.5 * size, 0.6))
        strength = np.float32(canvas.mood.shadow / 255)
        merged = np.maximum(self.shade * strength, soft * np.float32(0.5 / 255))
        return np.asarray(cv2.resize(merged, (width, height)), dtype=np.float32)

    def _drop(self, mask: NDArray[np.uint8], corners: Floats) -> None:
        """Fills the convex hull of spots `(N, 2)` of the ground, given as x and z."""
        hull: Floats = np.asarray(cv2.convexHull(corners.astype(np.float32))[:, 0], dtype=np.float64)
        if hull[:, 1].min() < self.near:
            hull = _clip(hull, self.near)
        if len(hull) < 3:
            return
        points = np.insert(hull, 1, 0.0, axis=1)
        pixels = self.canvas.camera.project(points) * (self.canvas.scale / 2 * (1 << SHIFT))
        cv2.fillPoly(mask, [np.rint(pixels).astype(np.int32)], 255, cv2.LINE_AA, SHIFT)

    def light_at(self, x: float, z: float) -> float:
        """The share of the light that reaches a spot of the ground."""
        spot = self.canvas.camera.project(np.array([x, 0.0, z])) * (self.canvas.scale / 2)
        column, row = spot.round().astype(int)
        height, width = self.shade.shape
        if not (0 <= column < width and 0 <= row < height):
            return 1.0
        return 1 - 0.8 * self.canvas.mood.shadow * float(self.shade[row, column]) / 255


def _clip(polygon: Floats, near: float) -> Floats:
    """Removes the part of a polygon `(N, 2)` of x and z that is nearer than `near`."""
    kept = []
    for start, stop in zip(polygon, np.roll(polygon, -1, axis=0), strict=True):
        if start[1] >= near:
            kept.append(start)
        if (start[1] >= near) != (stop[1] >= near):
            share = (near - start[1]) / (stop[1] - start[1])
            kept.append(start + (stop - start) * share)
    return np.array(kept).reshape(-1, 2)
