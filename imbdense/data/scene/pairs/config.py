"""The configuration of one generated pair: a scene, how much of it changes, and what else differs between the dates."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from imbdense.data.scene.classes import MAPPINGS
from imbdense.data.scene.config import LayoutConfig, MixConfig, SceneConfig, TerrainConfig

EDIT_KINDS = ('building', 'land_cover', 'vegetation', 'object')
"""What can be edited, the coarse kinds before the fine ones: the fine ones make up what the coarse ones miss."""


_PROFILE = {'high_vegetation': 100.0, 'medium_vegetation': 24.0, 'low_vegetation': 6.0, 'vehicle': 15.0, 'truck': 7.0,
            'fence': 4.0, 'clutter': 2.5}
"""Without cycles, poles and signs, which are a pixel or two wide at the default ``gsd``."""


def _pair_scene() -> SceneConfig:
    """128 m without unlabelled ground, so that every pixel has a land cover."""
    return SceneConfig(size=128.0, terrain=TerrainConfig(relief=6.0, unlabelled_ground=0.0),
                       layout=LayoutConfig(building_share=0.75),
                       mix=MixConfig(profile=_PROFILE, object_share=0.14, correction_rounds=3))


@dataclass(frozen=True)
class PairConfig:
    """Two dates of one square scene, seen by the same vertical camera.

    ``scene``: the first date (its ``flight`` is not used). ``mapping``: land-cover classes, a name in ``MAPPINGS``.
    ``change_share``: asked share of the pixels whose land cover differs, within the relative ``tolerance``. ``edits``:
    how much of it each kind of edit shall give, relative. ``season`` in [0, 1]: how far leaves and grass of the second
    date have turned. ``illumination`` in [0, 1]: how far the sun and the gain of each band may have moved.
    ``misregistration``: shift of the second date's *image* in pixels, in a direction drawn per scene; labels and
    surface models stay on the grid. ``gsd``: size of a pixel in m.
    """

    scene: SceneConfig = field(default_factory=_pair_scene)
    mapping: str = 'land_cover'
    change_share: float = 0.05
    tolerance: float = 0.1
    edits: Mapping[str, float] = field(default_factory=lambda: {'building': 0.4, 'land_cover': 0.3, 'vegetation': 0.2,
                                                                'object': 0.1})
    season: float = 0.5
    illumination: float = 0.5
    misregistration: float = 0.5
    gsd: float = 0.25

    def __post_init__(self) -> None:
        from imbdense.core.checks import check_choice, check_number

        if not isinstance(self.scene, SceneConfig):
            raise TypeError(f'PairConfig: scene must be a SceneConfig, but got {self.scene!r}.')
        check_choice('mapping', self.mapping, MAPPINGS, owner='PairConfig')
        for name, low, high in (('change_share', 0.0, 0.5), ('tolerance', 0.01, 1.0), ('season', 0.0, 1.0),
                                ('illumination', 0.0, 1.0), ('misregistration', 0.0, 20.0), ('gsd', 0.02, 10.0)):
            check_number(name, getattr(self, name), low=low, high=high, owner='PairConfig')
        for kind, weight in self.edits.items():
            check_choice('edits', kind, EDIT_KINDS, owner='PairConfig')
            check_number(f'edits[{kind!r}]', weight, low=0, owner='PairConfig')
        if not any(weight > 0 for weight in self.edits.values()):
            raise ValueError('PairConfig: edits must give at least one kind a weight above 0.')
        if self.count < 16:
            raise ValueError(f'PairConfig: a scene of {self.scene.size} m at gsd={self.gsd} m has {self.count} pixels '
                             f'a side; at least 16 are needed. Lower gsd or raise scene.size.')

    @property
    def count(self) -> int:
        """Pixels per side."""
        return round(self.scene.size / self.gsd)

    def to_dict(self) -> dict[str, Any]:
        """Return the configuration as nested dicts, lists and numbers (JSON-ready)."""
        values = {item.name: getattr(self, item.name) for item in dataclasses.fields(self)}
        return values | {'scene': self.scene.to_dict(), 'edits': dict(self.edits)}

    def changed(self, **parts: Any) -> PairConfig:
        """Return a copy with some fields replaced; a mapping for ``scene`` changes only the named fields of it."""
        scene = parts.get('scene')
        if isinstance(scene, Mapping):
            parts['scene'] = self.scene.changed(**scene)
        return dataclasses.replace(self, **parts)
