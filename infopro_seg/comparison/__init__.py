"""The training methods side by side: the same data, schedule and initial weights for each."""
