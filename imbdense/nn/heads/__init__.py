"""Decoders of dense prediction."""
