"""``imbdense benchmark``: speed against named peers, the demo, and the proof runs. Modules are imported one at a time."""
