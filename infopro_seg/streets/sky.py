"""Sky, clouds and the skyline that closes the street."""

import cv2
import numpy as np

from infopro_seg.streets.canvas import Canvas
from infopro_seg.streets.noise import look_up, patch

END = 150.0  # depth in metres of the skyline


def draw_sky(canvas: Canvas, rng: np.random.Generator) -> None:
    """Paints the upper part of the image and labels it."""
    camera, mood, scale = canvas.camera, canvas.mood, canvas.scale / 2
    bottom = int(camera.horizon) * canvas.scale + 4 * canvas.scale
    rows, width = bottom // 2, canvas.image.shape[1] // 2
    height = np.linspace(0, 1, rows, dtype=np.float32)[:, None, None] ** 1.4
    sky = np.array(mood.zenith) * (1 - height) + np.array(mood.skyline) * height
    sky = np.broadcast_to(sky, (rows, width, 3)).astype(np.float32)

    above = np.linspace(1, 0.06, rows, dtype=np.float32)[:, None]
    across = (np.arange(width, dtype=np.float32) / (camera.focal * scale))[None, :]
    spread = rng.uniform(40, 75)
    columns = (across - 0.5) / above * spread + rng.uniform(0, 512)
    depths = np.broadcast_to(spread / above, columns.shape) + rng.uniform(0, 512)
    field = look_up(1.5, columns.astype(np.float32), depths.astype(np.float32))
    share = np.clip((field + (mood.clouds - 0.45) * 2.6) * 0.6, 0, 1) * np.clip(above * 5, 0, 1)
    share = share[..., None]
    lit = 1 - 0.12 * np.clip(field, 0, 2)[..., None]
    sky = sky * (1 - share) + np.array(mood.cloud) * lit * share
    coarse = np.clip(sky * 255, 0, 255).astype(np.uint8)
    canvas.image[:bottom] = cv2.resize(coarse, (canvas.image.shape[1], bottom))
    with canvas.object('sky'):
        right, low = camera.width - 1, camera.horizon + 3
        canvas.outline(np.array([[0, 0], [right, 0], [right, low], [0, low]], dtype=float))


def draw_skyline(canvas: Canvas, rng: np.random.Generator) -> None:
    """Draws the far end of the town: houses behind a line of trees."""
    camera = canvas.camera
    low = camera.horizon + camera.pixels(camera.eye, END) + 1
    edge = -0.02 * camera.width
    light = canvas.mood.light(np.array([0.0, 0.0, -1.0]))
    while edge < camera.width:
        width = camera.width * rng.uniform(0.04, 0.11)
        top = camera.horizon - camera.pixels(rng.uniform(7, 30), END)
        color = np.array([0.55, 0.5, 0.47]) + rng.normal(0, 0.06, 3)
        house = [[edge, low], [edge + width, low], [edge + width, top]]
        if rng.random() < 0.5:
            house.append([edge + width / 2, top - 0.25 * width])
        house.append([edge, top])
        with canvas.object('building'):
            canvas.fill(np.array(house), color, END * 0.8, light)
        across, down = int(rng.integers(3, 7)), int(rng.integers(2, 5))
        if rng.random() < 0.6:
            x = edge + width * (np.arange(across) + 0.5) / across
            y = top + (low - top) * (np.arange(down) + 0.7) / (down + 1)
            spots = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 1, 2)
            half = np.array([width / across, (low - top) / (down + 1)]) * 0.25
            shape = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * half
            dark = np.broadcast_to(color * 0.72, (len(spots), 3))
            canvas.paint_many(spots + shape, dark, END * 0.8, light)
        edge += width * rng.uniform(0.85, 1.3)

    columns = np.linspace(-1, camera.width, max(camera.width // 4, 32))
    field = patch(rng, (1, len(columns)), 1.0, cell=rng.uniform(0.8, 1.6))[0]
    field = cv2.GaussianBlur(field[None], (5, 1), 1.0)[0]
    crown = camera.pixels(1.0, END) * (rng.uniform(3, 8) + 2.2 * field)
    line = np.stack([columns, np.minimum(camera.horizon - crown, low - 1)], axis=1)
    closed = np.concatenate([line, [[camera.width, low], [-1, low]]])
    green = np.array([0.27, 0.36, 0.18]) + rng.normal(0, 0.03, 3)
    with canvas.object('vegetation'):
        canvas.fill(closed, green, END * 0.7, canvas.mood.light())
    canvas.modulate(closed, 0.09, 1.0, camera.width / 600)
