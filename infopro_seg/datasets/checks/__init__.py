"""Checks of data sets: quick ones before every training, and a complete one with a report."""
