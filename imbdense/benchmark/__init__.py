"""Measured claims: speed against named peers, and proof runs on real data, as sub-commands of `imbdense benchmark`."""
