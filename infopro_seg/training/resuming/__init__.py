"""Continues a training exactly where it stopped, and saves what that needs."""
