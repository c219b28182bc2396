"""What every picture is made with: colours of classes, legends, names of points; of no model and no run."""
