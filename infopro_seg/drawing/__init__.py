"""Parts of pictures: colours of classes, legends, names of points; independent of models and runs."""
