"""The sizes of images that an exported graph takes, if it takes several."""

from __future__ import annotations

STEP = 32  # pixels: sides are multiples of it, the stride of the coarsest map of the usual encoders
ENOUGH = 256 * STEP  # the largest side, in pixels
