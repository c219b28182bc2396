"""Prediction over files: rasters too large for memory, videos, exported networks."""
