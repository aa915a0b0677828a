"""Necks on torch alone."""
