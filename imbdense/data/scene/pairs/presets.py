"""Named configurations of pairs: ``tiny`` (unit tests), ``demo``, ``standard``."""

from __future__ import annotations

from dataclasses import dataclass

from imbdense.data.scene.pairs.config import PairConfig


@dataclass(frozen=True)
class PairPreset:
    """A configuration with the number of pairs it makes a data set of, and the side of its tiles in pixels."""

    pair: PairConfig
    scenes: int
    val: int
    tile: int
    purpose: str


PAIR_PRESETS: dict[str, PairPreset] = {
    'tiny': PairPreset(PairConfig(gsd=0.5).changed(scene={'size': 64.0, 'layout': {'street_spacing': (40, 60)}}),
                       2, 1, 64, 'unit tests: 64 m, tiles of 64 px, 0.5 m per pixel'),
    'demo': PairPreset(PairConfig(gsd=0.5), 40, 10, 128, '40 scenes of 128 m, 160 tiles of 128 px, 0.5 m per pixel'),
    'standard': PairPreset(PairConfig().changed(scene={'size': 256.0}), 20, 5, 256,
                           '20 scenes of 256 m, 320 tiles of 256 px, 0.25 m per pixel'),
}
