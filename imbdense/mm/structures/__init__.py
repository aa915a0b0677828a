"""Data samples: what travels with an image through model and metric."""
