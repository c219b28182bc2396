"""The light of a scene, by weather and time of day."""

from dataclasses import dataclass, replace

import numpy as np

from infopro_seg.streets.camera import Floats

Color = tuple[float, float, float]


@dataclass(frozen=True)
class Mood:
    """The light of a scene; colours are RGB in [0, 1].

    Args:
        name: its name.
        zenith: sky colour at the top of the image.
        skyline: sky colour at the horizon.
        cloud: colour of the clouds.
        clouds: share of the sky that clouds cover.
        haze: colour that distance fades to.
        visibility: depth in metres at which haze hides 63 % of a colour.
        ambient: light that reaches every surface.
        sun: light that the sun adds on surfaces that face it.
        elevation: height of the sun in radians.
        azimuth: direction of the sun in radians, 0 along the street, positive to the right.
        shadow: share of the light that a cast shadow takes away.
        lamps: share of windows and lamps that are lit.
    """

    name: str
    zenith: Color
    skyline: Color
    cloud: Color
    clouds: float
    haze: Color
    visibility: float
    ambient: Color
    sun: Color
    elevation: float
    azimuth: float
    shadow: float
    lamps: float

    @property
    def toward_sun(self) -> Floats:
        """Unit vector that points to the sun."""
        flat = np.cos(self.elevation)
        return np.array([flat * np.sin(self.azimuth), np.sin(self.elevation), flat * np.cos(self.azimuth)])

    def light(self, normal: Floats | None = None) -> Floats:
        """The RGB light on a surface; on a rounded object if `normal` is None."""
        facing = 0.55 if normal is None else max(float(normal @ self.toward_sun), 0.0)
        return np.array(self.ambient) + facing * np.array(self.sun)

    def fade(self, colors: Floats, depth: Floats | float) -> Floats:
        """Mixes colours `(..., 3)` with the haze of their depth in metres."""
        clear = np.exp(-np.asarray(depth) / self.visibility)[..., None]
        faded: Floats = colors * clear + np.array(self.haze) * (1 - clear)
        return faded


MOODS = (
    Mood(
        'noon', (0.25, 0.5, 0.85), (0.74, 0.86, 0.95), (1.0, 1.0, 1.0), 0.35, (0.74, 0.83, 0.91),
        190, (0.52, 0.56, 0.63), (0.62, 0.58, 0.5), 0.9, 0.6, 0.5, 0.0,
    ),
    Mood(
        'golden', (0.33, 0.47, 0.72), (0.99, 0.8, 0.57), (1.0, 0.86, 0.72), 0.4, (0.95, 0.8, 0.64),
        130, (0.5, 0.47, 0.5), (0.75, 0.54, 0.3), 0.42, 0.8, 0.52, 0.06,
    ),
    Mood(
        'overcast', (0.66, 0.7, 0.75), (0.84, 0.86, 0.88), (0.78, 0.8, 0.83), 0.85, (0.8, 0.82, 0.85),
        120, (0.76, 0.78, 0.8), (0.1, 0.1, 0.1), 1.1, 0.3, 0.14, 0.03,
    ),
    Mood(
        'mist', (0.72, 0.76, 0.8), (0.86, 0.87, 0.87), (0.9, 0.9, 0.9), 0.3, (0.84, 0.86, 0.87),
        48, (0.74, 0.76, 0.78), (0.16, 0.14, 0.12), 0.7, 0.5, 0.14, 0.1,
    ),
    Mood(
        'dusk', (0.16, 0.19, 0.39), (0.9, 0.58, 0.47), (0.62, 0.42, 0.5), 0.5, (0.55, 0.45, 0.52),
        110, (0.4, 0.39, 0.49), (0.2, 0.13, 0.1), 0.3, 0.4, 0.15, 0.45,
    ),
    Mood(
        'rain', (0.44, 0.49, 0.56), (0.66, 0.7, 0.74), (0.52, 0.56, 0.62), 0.9, (0.62, 0.66, 0.7),
        75, (0.56, 0.59, 0.65), (0.05, 0.05, 0.05), 1.0, 0.1, 0.08, 0.25,
    ),
    Mood(
        'spring', (0.38, 0.64, 0.93), (0.86, 0.93, 0.97), (1.0, 0.99, 0.97), 0.55, (0.83, 0.9, 0.94),
        160, (0.6, 0.62, 0.65), (0.5, 0.47, 0.4), 0.65, 1.2, 0.42, 0.0,
    ),
)  # fmt: skip


def sample_mood(rng: np.random.Generator) -> Mood:
    """A random mood, with its numbers varied."""
    mood = MOODS[rng.choice(len(MOODS), p=[0.2, 0.17, 0.17, 0.1, 0.12, 0.09, 0.15])]
    gain = rng.uniform(0.85, 1.1)

    def vary(color: Color, by: float) -> Color:
        low, mid, high = np.clip(np.array(color) * gain + rng.normal(0, by, 3), 0.02, 1)
        return float(low), float(mid), float(high)

    return replace(
        mood,
        zenith=vary(mood.zenith, 0.03),
        skyline=vary(mood.skyline, 0.02),
        clouds=float(np.clip(mood.clouds + rng.normal(0, 0.15), 0, 1)),
        haze=vary(mood.haze, 0.015),
        visibility=mood.visibility * rng.uniform(0.7, 1.3),
        ambient=vary(mood.ambient, 0.02),
        elevation=mood.elevation * rng.uniform(0.8, 1.2),
        azimuth=float(rng.uniform(-np.pi, np.pi)),
        lamps=mood.lamps * rng.uniform(0.6, 1.3),
    )
