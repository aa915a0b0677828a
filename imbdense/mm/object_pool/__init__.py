"""Make an object pool with a model: which images, what counts as an object, and its feature."""
