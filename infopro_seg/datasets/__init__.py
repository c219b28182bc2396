"""Data sets: loading with clear errors, seeding for exact resumption, checks."""
