"""The configuration of one generated pair of clouds: a scene, what changes in it, and how well the dates fit."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from imbdense.data.scene.clouds.config import CloudConfig
from imbdense.data.scene.clouds.presets import CLOUD_PRESETS

UNCHANGED, NEW_BUILDING, DEMOLITION, NEW_VEGETATION, GROWTH, MISSING_VEGETATION, MOBILE = range(7)
IGNORED = -1
CHANGE_CLASSES = ('unchanged', 'new building', 'demolition', 'new vegetation', 'vegetation growth',
                  'missing vegetation', 'mobile objects')
"""Classes of Urb3DCD-V2 (de Gelis et al. 2023), in its order."""
PAIR_FORMATS = ('npz', 'ply')


def _shares() -> dict[str, float]:
    """Default weights: buildings in front, a tail of vegetation and mobile objects."""
    return {'new building': 0.35, 'demolition': 0.25, 'new vegetation': 0.14, 'vegetation growth': 0.1,
            'missing vegetation': 0.08, 'mobile objects': 0.08}


@dataclass(frozen=True)
class CloudPairConfig:
    """Two surveys of one scene.

    ``cloud``: the scene at the first date and the survey of both. ``change_share``: asked share of the points of date 2
    with a change class, within the relative ``tolerance``. ``kinds``: how much of it each change class shall give,
    relative. ``registration``: deviation of the rigid error of each date, (m per axis, degrees per axis).
    ``earthworks``: places where the ground is cut or filled by 0.5 to 2 m; no class means that, points are ignored.
    """

    cloud: CloudConfig = field(default_factory=lambda: CLOUD_PRESETS['small'].cloud)
    change_share: float = 0.05
    tolerance: float = 0.2
    kinds: Mapping[str, float] = field(default_factory=_shares)
    registration: tuple[float, float] = (0.05, 0.02)
    earthworks: int = 1

    def __post_init__(self) -> None:
        from imbdense.core.checks import check_choice, check_integer, check_number

        if not isinstance(self.cloud, CloudConfig):
            raise TypeError(f'CloudPairConfig: cloud must be a CloudConfig, but got {self.cloud!r}.')
        check_number('change_share', self.change_share, low=0, high=0.5, owner='CloudPairConfig')
        check_number('tolerance', self.tolerance, low=0.01, high=1, owner='CloudPairConfig')
        check_integer('earthworks', self.earthworks, low=0, high=50, owner='CloudPairConfig')
        for value in self.registration:
            check_number('registration', value, low=0, high=10, owner='CloudPairConfig')
        for name, weight in self.kinds.items():
            check_choice('kinds', name, CHANGE_CLASSES[1:], owner='CloudPairConfig')
            check_number(f'kinds[{name!r}]', weight, low=0, owner='CloudPairConfig')
        if not any(weight > 0 for weight in self.kinds.values()):
            raise ValueError('CloudPairConfig: kinds must give at least one change class a weight above 0.')
        for name in self.cloud.formats:
            check_choice('cloud.formats', name, PAIR_FORMATS, owner='CloudPairConfig')

    def to_dict(self) -> dict[str, Any]:
        """Return the configuration as nested dicts, lists and numbers (JSON-ready)."""
        values = {item.name: getattr(self, item.name) for item in dataclasses.fields(self)}
        return values | {'cloud': self.cloud.to_dict(), 'kinds': dict(self.kinds),
                         'registration': list(self.registration)}

    def changed(self, **parts: Any) -> CloudPairConfig:
        """Return a copy with some fields replaced; a mapping for ``cloud`` changes only the named fields of it."""
        cloud = parts.get('cloud')
        if isinstance(cloud, Mapping):
            parts['cloud'] = self.cloud.changed(**cloud)
        return dataclasses.replace(self, **parts)
