"""Readers, scanners, caches and the scene generator; no host library."""
