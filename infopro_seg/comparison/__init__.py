"""Compares training methods: all use the same data, schedule and initial weights."""
