"""What a generated LiDAR scene is made of: a sensor, classes with sizes and numbers, clutter. Two presets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from imbdense.core.checks import check_choice, check_integer, check_number

Shape = Literal['car', 'person', 'cyclist']
SHAPES: tuple[Shape, ...] = ('car', 'person', 'cyclist')


@dataclass(frozen=True)
class LidarSensor:
    """A turning LiDAR that looks ahead.

    Args:
        beams: rays above each other, evenly between ``lowest`` and ``highest`` degrees.
        height: metres above the ground; scenes are stored relative to the sensor, so the ground lies at ``-height``.
        step: degrees between columns. half_view: columns reach so many degrees to either side.
        reach: metres; farther echoes are lost. noise: standard deviation of a range in metres.
        dropout: share of echoes that are lost at random.
    """

    beams: int = 64
    lowest: float = -24.0
    highest: float = 2.0
    height: float = 1.73
    step: float = 0.4
    half_view: float = 45.0
    reach: float = 60.0
    noise: float = 0.02
    dropout: float = 0.05

    def __post_init__(self) -> None:
        owner = 'LidarSensor'
        check_integer('beams', self.beams, low=2, owner=owner)
        for name in ('height', 'step', 'half_view', 'reach'):
            check_number(name, getattr(self, name), low=0.0, low_open=True, owner=owner)
        check_number('noise', self.noise, low=0.0, owner=owner)
        check_number('dropout', self.dropout, low=0.0, high=1.0, owner=owner)
        if self.lowest >= self.highest:
            raise ValueError(f'LidarSensor: lowest must be below highest, but got {self.lowest} and {self.highest}.')


@dataclass(frozen=True)
class ObjectClass:
    """A class of objects.

    Args:
        name: as in label files. shape: what it looks like. size: mean length, width, height in metres.
        per_scene: mean number in a scene (Poisson). spread: relative standard deviation of the size.
    """

    name: str
    shape: Shape
    size: tuple[float, float, float]
    per_scene: float
    spread: float = 0.05

    def __post_init__(self) -> None:
        check_choice('shape', self.shape, SHAPES, owner='ObjectClass')
        check_number('per_scene', self.per_scene, low=0.0, owner='ObjectClass')
        if len(self.size) != 3 or min(self.size) <= 0:
            raise ValueError(f'ObjectClass: size must be three positive numbers, but {self.name} has {self.size}.')


@dataclass(frozen=True)
class LidarSetup:
    """A domain.

    Args:
        sensor, classes: see there. extent: x_min, y_min, x_max, y_max of the area with objects, metres.
        clutter: mean number of each kind of thing that is no object: 'pole', 'bush', 'fence', 'wall'.
    """

    sensor: LidarSensor
    classes: tuple[ObjectClass, ...]
    extent: tuple[float, float, float, float] = (4.0, -11.5, 26.0, 11.5)
    clutter: Mapping[str, float] = field(
        default_factory=lambda: {'pole': 2.0, 'bush': 1.0, 'fence': 0.5, 'wall': 0.5}
    )

    def to_dict(self) -> dict[str, Any]:
        """Plain data, for the manifest."""
        return {**asdict(self), 'clutter': dict(self.clutter)}


SETUPS = {
    # Wide, coarse scan, large cars. Cars to cyclists 20 : 1 in both.
    'beams32': LidarSetup(
        LidarSensor(beams=32, lowest=-25.0, highest=5.0, height=1.84, step=0.33),
        (ObjectClass('Car', 'car', (4.7, 1.95, 1.75), 6.0), ObjectClass('Pedestrian', 'person', (0.8, 0.7, 1.75), 1.5),
         ObjectClass('Cyclist', 'cyclist', (1.85, 0.65, 1.75), 0.3)),
    ),
    # Fine scan from lower down, smaller cars, more clutter.
    'beams64': LidarSetup(
        LidarSensor(beams=64, lowest=-24.0, highest=2.0, height=1.73, step=0.4, noise=0.03),
        (ObjectClass('Car', 'car', (3.9, 1.62, 1.53), 6.0),
         ObjectClass('Pedestrian', 'person', (0.85, 0.65, 1.75), 1.5),
         ObjectClass('Cyclist', 'cyclist', (1.75, 0.6, 1.7), 0.3)),
        clutter={'pole': 3.0, 'bush': 1.5, 'fence': 0.75, 'wall': 0.5},
    ),
}  # fmt: skip
"""Named domains: 'beams32' and 'beams64', as nuScenes and KITTI differ."""
