"""Tests of imbdense.mm.heads."""
