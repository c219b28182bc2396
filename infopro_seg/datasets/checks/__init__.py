"""Checks of a data set: quick ones before every training, and a whole reading with a report."""
