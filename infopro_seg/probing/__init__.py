"""What a trained network still knows of image and classes at each depth (paper, figures 2 and 3)."""
