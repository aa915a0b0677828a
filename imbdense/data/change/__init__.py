"""Pairs of images and labels on disk: label tables, layouts, splits by place."""
