"""Backbones on torch alone."""
