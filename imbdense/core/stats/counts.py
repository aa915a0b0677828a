"""The class counts of a data set: one immutable value object with a JSON form."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

CountUnit = Literal['pixels', 'regions', 'instances', 'images', 'assigned']
"""What was counted: label pixels, 8-connected regions, annotated objects, images that hold the class, or the samples
(anchors, proposals, queries) that a detector's assigner gave to the class."""

FORMAT_VERSION = 1
_UNITS: tuple[str, ...] = get_args(CountUnit)
_WORDS_OF_POINTS = {'pixels': 'points', 'images': 'scenes'}


@dataclass(frozen=True, eq=False)
class ClassCounts:
    """How often each of C classes occurs in a data set, in up to five units.

    A unit that was not counted is ``None``. All counts are int64 and never include ignored pixels.

    Attributes:
        classes: C class names, in the order of the label indices.
        pixels, regions, instances, images, assigned: (C,) int64 or ``None``; see :data:`CountUnit`.
        image_pixels: (C,) int64 or ``None``; valid pixels of all images that contain the class (the denominator of
            median-frequency balancing, Eigen & Fergus 2015).
        num_images: images (label files) counted.
        ignored_pixels: pixels that carry the ignore index.
        cooccurrence: (C, C) int64 or ``None``; images that contain both classes, diagonal = ``images``.
        object_sizes: (C, B) int64 or ``None``; histogram of object areas, bin b = objects of 2**b <= area < 2**(b+1)
            pixels (regions for segmentation, boxes or masks for detection).
        fingerprint: identifies the label files that were counted; '' when unknown.
        of_points: point clouds were counted: their points stand in ``pixels``, their scenes in ``images``.
    """

    classes: tuple[str, ...]
    pixels: NDArray[np.int64] | None = None
    regions: NDArray[np.int64] | None = None
    instances: NDArray[np.int64] | None = None
    images: NDArray[np.int64] | None = None
    assigned: NDArray[np.int64] | None = None
    image_pixels: NDArray[np.int64] | None = None
    num_images: int = 0
    ignored_pixels: int = 0
    cooccurrence: NDArray[np.int64] | None = None
    object_sizes: NDArray[np.int64] | None = None
    fingerprint: str = field(default='')
    of_points: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, 'classes', tuple(self.classes))
        for name in (*_UNITS, 'image_pixels', 'cooccurrence', 'object_sizes'):
            value = getattr(self, name)
            if value is None:
                continue
            array = np.asarray(value)
            if array.size and not np.issubdtype(array.dtype, np.integer) and not np.all(array == np.floor(array)):
                raise ValueError(f'ClassCounts.{name} must hold whole numbers, but got dtype {array.dtype}.')
            array = array.astype(np.int64)
            if array.shape[:1] != (len(self.classes),) or (array < 0).any():
                raise ValueError(
                    f'ClassCounts.{name} must hold {len(self.classes)} non-negative numbers (one per class in '
                    f'`classes`), but has shape {array.shape} and minimum {array.min(initial=0)}.'
                )
            object.__setattr__(self, name, array)

    @property
    def num_classes(self) -> int:
        """C, the number of classes."""
        return len(self.classes)

    @property
    def units(self) -> tuple[str, ...]:
        """The units that were counted."""
        return tuple(unit for unit in _UNITS if getattr(self, unit) is not None)

    def word(self, unit: str) -> str:
        """What ``unit`` is called before readers: points and scenes of clouds, else the unit's own name."""
        return _WORDS_OF_POINTS.get(unit, unit) if self.of_points else unit

    def of(self, unit: str) -> NDArray[np.int64]:
        """Return the (C,) counts in ``unit``.

        Raises:
            ValueError: ``unit`` is unknown or was not counted; the message lists what is there.
        """
        if unit not in _UNITS:
            raise ValueError(f"count must be one of {list(_UNITS)}, but got '{unit}'.")
        value: NDArray[np.int64] | None = getattr(self, unit)
        if value is None:
            raise ValueError(
                f"the class counts hold {list(self.units)}, but '{unit}' was asked for. "
                f"Choose count='{(self.units or ('pixels',))[0]}', or count again with `imbdense stats CONFIG`."
            )
        return value

    def select(self, classes: list[str]) -> ClassCounts:
        """Return the counts of ``classes`` in that order (for a head with another class list).

        Raises:
            ValueError: a name was not counted.
        """
        missing = [name for name in classes if name not in self.classes]
        if missing:
            raise ValueError(f'the classes {missing} were not counted; the counts hold {list(self.classes)}.')
        order = [self.classes.index(name) for name in classes]
        picked: dict[str, Any] = {
            name: None if getattr(self, name) is None else getattr(self, name)[order]
            for name in (*_UNITS, 'image_pixels', 'object_sizes')
        }
        if self.cooccurrence is not None:
            picked['cooccurrence'] = self.cooccurrence[np.ix_(order, order)]
        return replace(self, classes=tuple(classes), **picked)

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form (plain lists and ints)."""
        record: dict[str, Any] = {'format': FORMAT_VERSION, 'classes': list(self.classes)}
        for name in (*_UNITS, 'image_pixels', 'cooccurrence', 'object_sizes'):
            value = getattr(self, name)
            if value is not None:
                record[name] = value.tolist()
        record.update(
            num_images=self.num_images, ignored_pixels=self.ignored_pixels, fingerprint=self.fingerprint
        )
        if self.of_points:
            record['of_points'] = True
        return record

    @classmethod
    def from_dict(cls, record: dict[str, Any]) -> ClassCounts:
        """Build from the JSON form; unknown keys and other format versions are errors that name them."""
        known = set(cls.__dataclass_fields__)
        data = dict(record)
        version = data.pop('format', None)
        if version != FORMAT_VERSION or 'classes' not in data:
            raise ValueError(
                f'not a class_counts.json of format {FORMAT_VERSION} (format={version!r}, keys {sorted(data)}). '
                f'Write it anew with `imbdense stats CONFIG`.'
            )
        unknown = sorted(set(data) - known)
        if unknown:
            raise ValueError(f'class_counts.json has the unknown keys {unknown}; known are {sorted(known)}.')
        return cls(**data)

    def to_json(self) -> str:
        """Return the content of ``class_counts.json``."""
        return json.dumps(self.to_dict(), indent=1) + '\n'

    @classmethod
    def from_json(cls, text: str) -> ClassCounts:
        """Parse the content of ``class_counts.json``; ``ValueError`` when it is not one."""
        try:
            record = json.loads(text)
        except json.JSONDecodeError as error:
            raise ValueError(f'class_counts.json is not valid JSON ({error}); remove it and count again.') from error
        if not isinstance(record, dict):
            raise ValueError('class_counts.json must hold an object; remove it and count again.')
        return cls.from_dict(record)
