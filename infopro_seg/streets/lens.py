"""What the camera adds to a picture: its own car, exposure, blur, noise and a dark rim."""

import cv2
import numpy as np
from numpy.typing import NDArray

from infopro_seg.streets.canvas import Canvas
from infopro_seg.streets.noise import patch


def draw_hood(canvas: Canvas, rng: np.random.Generator) -> None:
    """Draws the hood of the car that carries the camera, and labels the rim of the image void."""
    camera = canvas.camera
    width, height = camera.width, camera.height
    if rng.random() < 0.8:
        rise = height * rng.uniform(0.035, 0.1)
        across = np.linspace(-0.02, 1.02, 24)
        bend = rng.uniform(0.3, 0.8)
        middle = rng.uniform(0.46, 0.54)
        rows = height - rise * (1 - bend * (2 * np.abs(across - middle)) ** 2.4)
        rim = np.stack([across * width, rows], axis=1)
        shape = np.concatenate([rim, [[width * 1.02, height + 2], [-0.02 * width, height + 2]]])
        color = np.array([[0.1, 0.1, 0.11], [0.45, 0.46, 0.48], [0.13, 0.16, 0.22]])[rng.integers(3)]
        light = canvas.mood.light(np.array([0.0, 1.0, 0.0]))
        with canvas.object('ego vehicle'):
            canvas.fill(shape, color, 0.0, light)
        for index, share in enumerate((0.55, 0.3, 0.12)):
            glow = rim + np.array([0, rise * (0.06 + 0.22 * index)])
            canvas.stroke(glow, rise * 0.16, color + share * 0.35, 0.0, light)
    edge = max(round(height / 200), 1)
    right, bottom = width - 1, height - 1
    rims = (
        (0, 0, right, edge - 1), (0, bottom - edge + 1, right, bottom),
        (0, 0, edge - 1, bottom), (right - edge + 1, 0, right, bottom),
    )  # fmt: skip
    for x0, y0, x1, y1 in rims:
        polygon = [[x0, y0], [x1, y0], [x1, y1], [x0, y1]]
        canvas.objects.append({'label': 'out of roi', 'polygon': polygon})


def expose(canvas: Canvas, rng: np.random.Generator) -> NDArray[np.uint8]:
    """The image `(height, width, 3)` in RGB as the camera records it."""
    image: NDArray[np.uint8] = canvas.image
    width, height = canvas.camera.width, canvas.camera.height
    if canvas.scale > 1:
        image = np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA))
    blur = rng.uniform(0, 1.1) * width / 1024
    if blur > 0.25:
        image = np.asarray(cv2.GaussianBlur(image, (0, 0), blur))
    dim = 0.82 if canvas.mood.lamps > 0.2 else 1.0
    aim, mean = dim * rng.uniform(0.42, 0.56), max(float(image[::4, ::4].mean()) / 255, 0.05)
    gain = np.clip((aim / mean) ** 0.5, 0.8, 1.8)
    gamma = np.clip(np.log(aim) / np.log(min(mean * gain, 0.95)), 0.5, 1.3)
    tint = 1 + rng.normal(0, 0.02, 3)
    curve = np.minimum(np.linspace(0, 1, 256)[:, None] * gain, 1.1) ** gamma
    curve = curve + 0.55 * curve * (1 - curve) * (2 * curve - 1)
    table = np.clip(curve * tint * 255, 0, 255).astype(np.uint8)
    image = np.asarray(cv2.LUT(image, table[None]))
    vivid = rng.uniform(1.0, 1.4)
    mix = np.full((3, 3), (1 - vivid) / 3, dtype=np.float32) + np.eye(3, dtype=np.float32) * vivid
    image = np.asarray(cv2.transform(image, mix))
    grain = patch(rng, (height, width), 0.0)
    color = patch(rng, (height, width), 0.0)
    strength = np.float32(rng.uniform(1.0, 6.5))
    across = np.linspace(-1, 1, width, dtype=np.float32)[None]
    down = np.linspace(-1, 1, height, dtype=np.float32)[:, None]
    rim = 1 - np.float32(rng.uniform(0.04, 0.2)) * (across**2 + down**2) / 2
    noisy: NDArray[np.float32] = image.astype(np.float32) * rim[..., None].astype(np.float32)
    noisy += (strength * grain)[..., None]
    noisy[..., 0] += strength / 2 * color
    noisy[..., 2] -= strength / 2 * color
    return np.clip(noisy, 0, 255).astype(np.uint8)
