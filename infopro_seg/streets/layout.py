"""The plan of a street seen from above: lanes, kerbs, and the plots along them."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

Range = tuple[float, float]


@dataclass(frozen=True)
class Lane:
    """A strip of road for one line of vehicles.

    Args:
        x: middle of the lane in metres.
        kind: `'drive'`, `'park'` or `'tram'`.
        yaw: direction of travel in radians, 0 away from the camera.
        ego: whether the camera drives here.
    """

    x: float
    kind: str
    yaw: float
    ego: bool = False


@dataclass(frozen=True)
class Plot:
    """A piece of land beside the pavement, of kind house, wall, fence, park or gap."""

    kind: str
    z: Range


@dataclass
class Verge:
    """One side of the street.

    Args:
        sign: -1 on the left, 1 on the right.
        kerb: x where the road ends, in metres.
        outer: x where the pavement ends and the plots begin, in metres.
        grass: width of the grass between road and pavement in metres; 0 for none.
        plots: the plots, near to far.
    """

    sign: int
    kerb: float
    outer: float
    grass: float
    plots: list[Plot] = field(default_factory=list)

    @property
    def walk(self) -> Range:
        """Where pedestrians walk, from the road outward."""
        return self.kerb + self.sign * self.grass, self.outer


@dataclass(frozen=True)
class Street:
    """The plan of a street.

    Args:
        lanes: all its lanes.
        lines: lines between lanes: x in metres, and whether the line is solid.
        verges: its left and its right side.
        crossing: depth of the zebra crossing in metres; None without one.
        side_street: depths in metres between which another road crosses; None without one.
        rails: x of the middle of the tram track in metres; None without one.
        reserve: x in metres of both edges of the track bed; None if there is no track, or it lies in the
            road.
    """

    lanes: list[Lane]
    lines: list[tuple[float, bool]]
    verges: tuple[Verge, Verge]
    crossing: float | None
    side_street: Range | None
    rails: float | None
    reserve: Range | None


def sample_street(rng: np.random.Generator) -> Street:
    """A random plan."""
    width = rng.uniform(3.0, 3.5)
    side = 1 if rng.random() < 0.6 else -1
    middle = rng.uniform(-0.3, 0.3)
    lanes = [Lane(middle, 'drive', 0.0, ego=True)]
    near = middle + width / 2
    lines: list[tuple[float, bool]] = []
    if rng.random() < 0.3:
        lines.append((near, False))
        lanes.append(Lane(near + width / 2, 'drive', 0.0))
        near += width
    if rng.random() < 0.65:
        lanes.append(Lane(near + 1.1, 'park', 0.0))
        near += 2.2

    far = middle - width / 2
    rails, reserve = None, None
    embedded = rng.random() < 0.4
    for index in range(int(rng.integers(1, 3))):
        lines.append((far, bool(index == 0 and rng.random() < 0.3)))
        lanes.append(Lane(far - width / 2, 'drive', np.pi))
        far -= width
    if rng.random() < 0.7:
        yaw = 0.0 if rng.random() < 0.3 else np.pi
        rails = far - 1.7
        lanes.append(Lane(rails, 'tram', yaw))
        if embedded:
            lines.append((far, True))
        else:
            reserve = (rails - 1.7, far)
        far -= 3.4
    elif rng.random() < 0.7:
        lanes.append(Lane(far - 1.1, 'park', np.pi))
        far -= 2.2

    verges = []
    for sign, kerb in ((-1, far), (1, near)):
        grass = rng.uniform(1.0, 2.4) if rng.random() < 0.55 else 0.0
        verges.append(Verge(sign, kerb, kerb + sign * (grass + rng.uniform(2.2, 4.2)), grass))
    crossing = rng.uniform(10, 22) if rng.random() < 0.6 else None
    side_street = None
    if rng.random() < 0.45:
        start = crossing + 3 if crossing else rng.uniform(16, 45)
        side_street = (start, start + rng.uniform(6, 9))
    street = Street(lanes, lines, (verges[0], verges[1]), crossing, side_street, rails, reserve)
    street = street if side > 0 else _mirrored(street)
    special = rng.permutation(['wall', 'fence'])
    for verge, kind in zip(street.verges, special, strict=True):
        verge.plots.extend(_plots(rng, side_street, str(kind)))
    return street


def _plots(rng: np.random.Generator, gap: Range | None, special: str) -> Iterator[Plot]:
    z = rng.uniform(2, 5)
    wanted = rng.uniform(7, 18) if rng.random() < 0.95 else np.inf
    while z < 140:
        stop = z + rng.uniform(8, 19)
        kind = str(rng.choice(['house', 'wall', 'fence', 'park'], p=[0.48, 0.14, 0.17, 0.21]))
        if gap and z <= gap[0] < stop + 4:
            stop = max(gap[0], z + 0.1)
        if gap and gap[0] <= z < gap[1]:
            kind, stop = 'gap', gap[1]
        elif z > wanted or stop > wanted + 6:
            kind, wanted = special, np.inf
        yield Plot(kind, (z, stop))
        z = stop


def _mirrored(street: Street) -> Street:
    left, right = street.verges
    flipped = [Verge(-verge.sign, -verge.kerb, -verge.outer, verge.grass) for verge in (right, left)]
    return Street(
        [Lane(-lane.x, lane.kind, lane.yaw, lane.ego) for lane in street.lanes],
        [(-x, solid) for x, solid in street.lines],
        (flipped[0], flipped[1]),
        street.crossing,
        street.side_street,
        None if street.rails is None else -street.rails,
        None if street.reserve is None else (-street.reserve[1], -street.reserve[0]),
    )
