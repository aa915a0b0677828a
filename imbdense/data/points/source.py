"""Labelled scenes as a data set reads them, and as the scan of class counts sees them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from imbdense.data.points.class_map import ClassMap
from imbdense.data.points.cloud import PointCloud
from imbdense.data.points.layout import PointLayout, Scene, files_below, load_scene
from imbdense.data.points.read import SUFFIXES, read_points
from imbdense.data.readers.labels import IGNORED, LabelFormat

Unknown = Literal['error', 'ignore']


@dataclass(frozen=True)
class PointSource:
    """How a path becomes a cloud with train ids; can be pickled.

    Attributes:
        layout: reads the files. class_map: codes -> train ids.
        unknown: what becomes of codes that the class map does not name: ``'error'`` or ``'ignore'``.
        need_labels: whether a scene without a single labelled point is an error.
    """

    layout: PointLayout
    class_map: ClassMap
    unknown: Unknown = 'error'
    need_labels: bool = True

    def read(self, path: str | Path) -> PointCloud:
        """The cloud with train ids.

        Raises:
            PointReadError: unreadable, codes without class, or (``need_labels``) no labelled point.
        """
        scene = Scene(Path(path).stem, Path(path))
        return load_scene(
            self.layout, scene, mapping=self.class_map, unknown=self.unknown, need_labels=self.need_labels
        )


@dataclass(frozen=True)
class PointLabelFormat(LabelFormat):
    """Labels of clouds for :func:`imbdense.data.scan.scan_labels`: a cloud is a label image of one row, points are
    pixels, and a scene is an image. There are no regions."""

    source: PointSource | None = None
    has_regions = False
    of_points = True

    @classmethod
    def of_source(cls, source: PointSource) -> PointLabelFormat:
        """The format of a source."""
        return cls(tuple(source.class_map.classes), source=source)

    def identity(self) -> dict[str, Any]:
        """What decides the counts."""
        if self.source is None:
            raise ValueError('PointLabelFormat has no source; make it with of_source().')
        codes = sorted((int(code), int(train)) for code, train in self.source.class_map.label_map.items())
        return {'points': self.source.layout.name, 'label_map': codes, 'unknown': self.source.unknown}

    def read(self, path: str | Path) -> NDArray[np.uint8]:
        """(1, N) uint8 train ids, 255 = ignored."""
        if self.source is None:
            raise ValueError('PointLabelFormat has no source; make it with of_source().')
        labels = self.source.read(path).semantic
        if labels is None:
            return np.full((1, 0), IGNORED, np.uint8)
        return np.where(labels < 0, IGNORED, labels).astype(np.uint8)[None]


@dataclass(frozen=True)
class _Reader:
    """``PointLayout.read`` of plain files, with the names of their columns."""

    semantic: str | None
    instance: str | None
    columns: tuple[str, ...] | None

    def __call__(self, scene: Scene) -> PointCloud:
        return read_points(scene.path, semantic=self.semantic, instance=self.instance, columns=self.columns)


def folder_layout(
    *, semantic: str | None = None, instance: str | None = None, columns: Sequence[str] | None = None
) -> PointLayout:
    """The layout of a folder of files: a split is a sub-folder ('' = the folder itself).

    Args:
        semantic, instance, columns: as in :func:`imbdense.data.points.read_points`.
    """
    reader = _Reader(semantic, instance, None if columns is None else tuple(columns))
    # The name tells the scan cache what decides the labels.
    return PointLayout(f'folder {reader}', {}, (), _scenes_in, reader, f'  *{" *".join(SUFFIXES)}')


def _scenes_in(root: Path, split: str) -> list[Scene]:
    """The files of a folder."""
    return [Scene(path.stem, path) for path in files_below(root / split if split else root, SUFFIXES)]
