"""Decoders on torch alone."""
