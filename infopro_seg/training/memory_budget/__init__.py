"""Trains within a memory budget (`--fit`), and goes on when memory runs out."""
