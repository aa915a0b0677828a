"""What a layout of a point data set is, and how a labelled scene is loaded through one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from imbdense.core.checks import check_choice
from imbdense.data.points.class_map import ClassMap
from imbdense.data.points.cloud import PointCloud
from imbdense.data.points.errors import PointReadError
from imbdense.data.points.read import read_points


@dataclass(frozen=True)
class Scene:
    """One scene of a data set: a unique name and the file (or the folder of files) it is read from."""

    name: str
    path: Path


@dataclass(frozen=True)
class PointLayout:
    """Facts of a data set and how its files lie.

    Attributes:
        name: slug, as of the facts sheet ``datasets/<name>/README.md``.
        class_maps: name -> :class:`ClassMap`; the first is the usual one.
        splits: names of the splits.
        find: (root, split) -> scenes in sorted order.
        read: scene -> cloud with the codes of the file; it needs the path alone.
        expected: the files, shown when something is missing.
        prepared: ``find`` also takes ``.npz`` in the place of a scene's file or folder, as ``imbdense prepare`` makes
            them; :meth:`cloud` reads both.
    """

    name: str
    class_maps: Mapping[str, ClassMap]
    splits: tuple[str, ...]
    find: Callable[[Path, str], list[Scene]]
    read: Callable[[Scene], PointCloud]
    expected: str
    prepared: bool = False

    def class_map(self, mapping: str | None = None) -> ClassMap:
        """The class map of a name, or the usual one."""
        if mapping is None:
            return next(iter(self.class_maps.values()))
        check_choice('mapping', mapping, self.class_maps, owner=self.name)
        return self.class_maps[mapping]

    def scenes(self, root: str | Path, split: str) -> list[Scene]:
        """Scenes of a split, sorted by name.

        Raises:
            PointReadError: the folder is missing or holds no scene of the split; the message shows the layout.
        """
        check_choice('split', split, self.splits, owner=self.name)
        cure = f'Expected layout of {self.name}:\n{self.expected}'
        if not Path(root).is_dir():
            raise PointReadError(root, 'missing', 'is no folder.', cure)
        found = self.find(Path(root), split)
        if not found:
            raise PointReadError(root, 'missing', f'holds no scene of split {split!r}.', cure)
        return found

    def cloud(self, scene: Scene) -> PointCloud:
        """The cloud of a scene with the codes of the file, from the download or from what was prepared."""
        return read_points(scene.path) if self.prepared and scene.path.suffix == '.npz' else self.read(scene)


def load_scene(
    layout: PointLayout,
    scene: Scene,
    *,
    mapping: str | ClassMap | None = None,
    unknown: Literal['error', 'ignore'] = 'error',
    need_labels: bool = True,
) -> PointCloud:
    """Read a scene and turn its codes into train ids (-1 = ignored).

    Args:
        mapping: name of a class map of the layout, or one of your own; ``None`` = the usual one.
        unknown: what becomes of codes that the map does not name.
        need_labels: whether a scene without labels, or whose points are all ignored, is an error. Set it to False for
            prediction.

    Raises:
        PointReadError: of the reader; codes without class; no labels; every point ignored.
    """
    chosen = mapping if isinstance(mapping, ClassMap) else layout.class_map(mapping)
    cloud = layout.cloud(scene)
    if cloud.semantic is None:
        if need_labels:
            raise PointReadError(
                scene.path, 'unlabelled', f'has no labels, but scene {scene.name} is to be learnt from or measured.',
                'Take it out of this split, or use it for prediction only (need_labels=False).',
            )
        return cloud
    semantic = chosen.apply(cloud.semantic, owner=f'{scene.path}', unknown=unknown)
    if need_labels and not (semantic >= 0).any():
        codes, counts = np.unique(cloud.semantic, return_counts=True)
        seen = ', '.join(f'{code}: {count}' for code, count in zip(codes.tolist(), counts.tolist()))
        raise PointReadError(
            scene.path, 'ignored', f'all {len(cloud)} points of scene {scene.name} are ignored (codes {seen}).',
            'Take the scene out of this split, or map one of its codes to a class.',
        )
    return cloud.replace(semantic=semantic)


def files_below(folder: Path, suffixes: Sequence[str]) -> list[Path]:
    """Files of a folder with one of the suffixes (any case), sorted; none where the folder is absent."""
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in suffixes and path.is_file())
