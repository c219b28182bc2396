"""Places vehicles, people and furniture in a street."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from infopro_seg.streets.canvas import Canvas
from infopro_seg.streets.cars import draw_car, draw_truck
from infopro_seg.streets.cycles import draw_bicycle, draw_motorcycle, draw_rider
from infopro_seg.streets.furniture import (
    draw_bollard,
    draw_clutter,
    draw_gantry,
    draw_lamp,
    draw_sign,
    draw_traffic_light,
)
from infopro_seg.streets.ground import Shadow
from infopro_seg.streets.layout import Lane, Street, Verge
from infopro_seg.streets.people import draw_person
from infopro_seg.streets.plants import draw_tree
from infopro_seg.streets.solids import Place
from infopro_seg.streets.transit import draw_bus, draw_tram

Draw = Callable[[Canvas, np.random.Generator, Place], object]


@dataclass(frozen=True)
class Item:
    """One thing in the street.

    Args:
        place: where it stands.
        draw: draws it at a place.
        size: its width, length and height in metres, for its shadow.
    """

    place: Place
    draw: Draw
    size: tuple[float, float, float]

    @property
    def shadow(self) -> Shadow:
        """The shadow that it casts."""
        cos, sin = abs(np.cos(self.place.yaw)), abs(np.sin(self.place.yaw))
        wide = (self.size[0] * cos + self.size[1] * sin) / 2
        long = (self.size[1] * cos + self.size[0] * sin) / 2
        x, z = self.place.x, self.place.z
        return Shadow((x - wide, x + wide), (z - long, z + long), self.size[2])


SIZES = {
    'car': (1.8, 4.5, 1.4),
    'truck': (2.4, 8.5, 3.4),
    'bus': (2.5, 12.0, 3.1),
    'cyclist': (0.5, 1.6, 1.7),
    'biker': (0.7, 1.9, 1.6),
}
VEHICLES: dict[str, Draw] = {'car': draw_car, 'truck': draw_truck, 'bus': draw_bus}


def populate(rng: np.random.Generator, street: Street) -> list[Item]:
    """Chooses everything that stands or moves in the street, in no particular order."""
    items = [*_traffic(rng, street), *_crossing(rng, street)]
    for verge in street.verges:
        items += _pavement(rng, street, verge)
    return items


def _traffic(rng: np.random.Generator, street: Street) -> Iterator[Item]:
    odds = {'bus': 0.62, 'truck': 0.72, 'cyclist': 0.62, 'biker': 0.62}
    wanted = [kind for kind, chance in odds.items() if rng.random() < chance]
    rng.shuffle(wanted)
    lanes = sorted(street.lanes, key=lambda lane: rng.random() + lane.ego)
    for lane in lanes:
        if lane.kind == 'tram':
            if rng.random() < 0.85:
                z = rng.uniform(19, 42)
                yield Item(Place(lane.x, z, lane.yaw), draw_tram, (2.4, 24.0, 3.4))
        elif lane.kind == 'park':
            yield from _parked(rng, street, lane, wanted)
        else:
            yield from _moving(rng, street, lane, wanted)


def _moving(rng: np.random.Generator, street: Street, lane: Lane, wanted: list[str]) -> Iterator[Item]:
    z = rng.uniform(9, 17) if lane.ego else rng.uniform(6, 12)
    while z < 75:
        if wanted and z < 42 and rng.random() < 0.75:
            kind = wanted.pop()
        else:
            kind = str(rng.choice(list(SIZES), p=[0.7, 0.1, 0.05, 0.08, 0.07]))
        length = SIZES[kind][1]
        if kind in ('bus', 'truck') and lane.ego:
            z = max(z, rng.uniform(15, 22))
        if _blocked(street, z, z + length):
            z += 3
            continue
        shift = rng.normal(0, 0.2)
        if kind in ('cyclist', 'biker'):
            shift = rng.uniform(-1.1, 1.1)
        place = Place(lane.x + shift, z + length / 2, lane.yaw + rng.normal(0, 0.035))
        yield _vehicle(rng, kind, place)
        z += length + rng.uniform(2, 9) * (1 + z / 35)


def _parked(rng: np.random.Generator, street: Street, lane: Lane, wanted: list[str]) -> Iterator[Item]:
    z = rng.uniform(5, 9)
    while z < 75:
        if not _blocked(street, z, z + 5) and rng.random() < 0.78:
            kind = str(rng.choice(['car', 'truck', 'bus', 'motorcycle'], p=[0.8, 0.08, 0.02, 0.1]))
            if 'truck' in wanted and rng.random() < 0.3:
                wanted.remove('truck')
                kind = 'truck'
            if kind == 'motorcycle':
                for offset in (0.6, 2.2, 3.8):
                    yield _standing(rng, lane.x + rng.normal(0, 0.2), z + offset, motor=True)
                z += 6
                continue
            length = SIZES[kind][1]
            turn = np.pi if rng.random() < 0.1 else 0.0
            place = Place(lane.x + rng.normal(0, 0.1), z + length / 2, lane.yaw + turn + rng.normal(0, 0.02))
            yield _vehicle(rng, kind, place)
            z += length
        else:
            z += 4.5
        z += rng.uniform(0.7, 1.6)


def _vehicle(rng: np.random.Generator, kind: str, place: Place) -> Item:
    if kind in VEHICLES:
        return Item(place, VEHICLES[kind], SIZES[kind])
    motor = kind == 'biker'
    stretch = rng.uniform(0.22, 0.4) * rng.choice([-1, 1])

    def ride(canvas: Canvas, rng: np.random.Generator, place: Place) -> None:
        draw_rider(canvas, rng, place, stretch, motor)

    return Item(place, ride, SIZES[kind])


def _standing(rng: np.random.Generator, x: float, z: float, motor: bool) -> Item:
    stretch = rng.uniform(0.5, 1.0) * rng.choice([-1, 1])
    draw = draw_motorcycle if motor else draw_bicycle

    def stand(canvas: Canvas, rng: np.random.Generator, place: Place) -> None:
        draw(canvas, rng, place, stretch)

    return Item(Place(x, z, np.pi / 2), stand, (0.4, 1.6, 0.9))


def _person(rng: np.random.Generator, x: float, z: float) -> Item:
    height = rng.uniform(1.55, 1.92) if rng.random() < 0.88 else rng.uniform(1.0, 1.4)

    def walk(canvas: Canvas, rng: np.random.Generator, place: Place) -> None:
        draw_person(canvas, rng, place, height)

    return Item(Place(x, z), walk, (0.4, 0.3, height))


def _crossing(rng: np.random.Generator, street: Street) -> Iterator[Item]:
    left, right = (verge.kerb for verge in street.verges)
    if street.crossing is not None:
        for _ in range(int(rng.integers(1, 5))):
            yield _person(rng, rng.uniform(left, right), street.crossing + rng.uniform(-1.2, 1.2))
    if rng.random() < 0.75:
        z = street.crossing or rng.uniform(9, 20)
        motor = bool(rng.random() < 0.4)
        stretch = float(rng.uniform(0.75, 1.0) * rng.choice([-1, 1]))

        def ride(canvas: Canvas, rng: np.random.Generator, place: Place) -> None:
            draw_rider(canvas, rng, place, stretch, motor)

        place = Place(rng.uniform(left, right), z + rng.uniform(-2.4, 2.4), np.pi / 2)
        yield Item(place, ride, (0.5, 1.8, 1.7))
    if street.side_street and rng.random() < 0.6:
        z = (street.side_street[0] + street.side_street[1]) / 2
        kind = str(rng.choice(['car', 'truck', 'bus'], p=[0.6, 0.22, 0.18]))
        yaw = float(rng.choice([-1, 1])) * np.pi / 2
        yield _vehicle(rng, kind, Place(rng.uniform(left - 4, right + 4), z, yaw))


def _pavement(rng: np.random.Generator, street: Street, verge: Verge) -> Iterator[Item]:
    sign, (inner, outer) = verge.sign, verge.walk
    edge = verge.kerb + sign * 0.45
    for _ in range(int(rng.poisson(5))):
        x = inner + (outer - inner) * rng.uniform(0.15, 0.9)
        z = 7 + 45 * rng.random() ** 1.5
        for index in range(1 + (rng.random() < 0.35)):
            yield _person(rng, x + index * rng.uniform(0.4, 0.6), z + index * 0.2)
    if street.crossing is not None or rng.random() < 0.5:
        z = (street.crossing or rng.uniform(12, 26)) + rng.choice([-2.2, 2.2])
        over = -sign * rng.uniform(2.2, 4) if rng.random() < 0.45 else 0.0

        def signal(canvas: Canvas, rng: np.random.Generator, place: Place) -> None:
            draw_traffic_light(canvas, rng, place, over)

        yield Item(Place(edge, z), signal, (0.2, 0.2, 3.4))
    z = rng.uniform(7, 12)
    trees = rng.random() < (0.75 if verge.grass else 0.35)
    while z < 60:
        kind = rng.choice(['lamp', 'sign', 'gantry', 'bollards', 'none'], p=[0.3, 0.4, 0.08, 0.12, 0.1])
        place = Place(edge, z)
        if kind == 'lamp':
            yield Item(place, draw_lamp, (0.2, 0.2, 7.0))
        elif kind == 'sign':
            yield Item(place, draw_sign, (0.3, 0.2, 2.6))
        elif kind == 'gantry':
            yield Item(Place(edge + sign, z), draw_gantry, (2.0, 0.2, 3.0))
        elif kind == 'bollards':
            for step in range(4):
                yield Item(Place(edge, z + 1.6 * step), draw_bollard, (0.2, 0.2, 0.9))
        if trees:
            yield _tree(rng, edge + sign * 0.6, z + rng.uniform(2.5, 4))
        z += rng.uniform(5, 11)
    if rng.random() < 0.65:
        start, motor = rng.uniform(8, 24), bool(rng.random() < 0.3)
        for index in range(int(rng.integers(1, 5))):
            x = rng.choice([edge + sign * 0.5, outer - sign * 0.6])
            yield _standing(rng, x, start + index * rng.uniform(0.9, 1.6), motor)
    for _ in range(int(rng.integers(0, 4))):
        x = rng.choice([edge + sign * 0.4, outer - sign * 0.4])
        yield Item(Place(x, rng.uniform(8, 35)), draw_clutter, (0.6, 0.8, 1.2))


def _tree(rng: np.random.Generator, x: float, z: float) -> Item:
    height = rng.uniform(4.5, 9.5)
    spread = height * rng.uniform(0.2, 0.3)

    def grow(canvas: Canvas, rng: np.random.Generator, place: Place) -> None:
        draw_tree(canvas, rng, place, height, spread)

    return Item(Place(x, z), grow, (spread * 1.2, spread * 1.2, height * 0.8))


def _blocked(street: Street, start: float, stop: float) -> bool:
    crossing = street.crossing
    if crossing is not None and start < crossing + 2.2 and stop > crossing - 2.2:
        return True
    gap = street.side_street
    return gap is not None and start < gap[1] and stop > gap[0]
