"""Two epochs of a place: where the files of a pair lie, and how both are read.

The labels that count lie on epoch 2: what was removed is marked where it was, on the points now seen there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from imbdense.data.points.class_map import ClassMap
from imbdense.data.points.cloud import PointCloud
from imbdense.data.points.crs import crs_name, same_crs
from imbdense.data.points.errors import PointReadError
from imbdense.data.points.layout import PointLayout, Scene, load_scene
from imbdense.data.points.read import SUFFIXES, read_points
from imbdense.data.points.source import PointSource


@dataclass(frozen=True)
class PairFiles:
    """What the two files of a pair are called, without suffix, and the columns and PLY element they are read from."""

    stems: tuple[str, str] = ('epoch1', 'epoch2')
    semantic: str | None = None
    instance: str | None = None
    columns: tuple[str, ...] | None = None
    element: str | None = None

    def find(self, root: Path, split: str) -> list[Scene]:
        """Every folder below ``root / split`` that holds both files; named by its path, sorted.

        A split is the sub-folder of that name, or the only one whose name begins with it ('Train' for 'TrainLarge').
        """
        base = root / split if split else root
        if split and not base.is_dir():
            near = [path for path in sorted(root.iterdir()) if path.is_dir()
                    and path.name.lower().startswith(split.lower())]
            base = near[0] if len(near) == 1 else base
        found = sorted(path for path in base.rglob(f'{self.stems[1]}.*') if path.suffix.lower() in SUFFIXES)
        scenes = {}
        for path in found:
            name = path.parent.relative_to(base).as_posix()
            scenes.setdefault(name if name != '.' else base.name, path)
        return [Scene(name, path) for name, path in scenes.items()]

    def first(self, second: str | Path) -> Path:
        """The file of epoch 1 beside that of epoch 2.

        Raises:
            PointReadError: there is none.
        """
        path = Path(second)
        for suffix in dict.fromkeys((path.suffix, *SUFFIXES)):
            candidate = path.with_name(f'{self.stems[0]}{suffix}')
            if candidate.is_file():
                return candidate
        raise PointReadError(path, 'missing', f'has no epoch 1: there is no {self.stems[0]}.* beside it.',
                             f'A pair is a folder with {self.stems[0]}.* and {self.stems[1]}.*.')  # fmt: skip

    def __call__(self, scene: Scene) -> PointCloud:
        """Read one file of a pair."""
        return read_points(scene.path, semantic=self.semantic, instance=self.instance, columns=self.columns,
                           element=self.element)


@dataclass(frozen=True)
class PairSource(PointSource):
    """A :class:`PointSource` of epoch 2 that reads epoch 1 as well."""

    def read_first(self, path: str | Path) -> PointCloud:
        """The file of epoch 1, with train ids where it has labels; points without a class are ignored.

        Raises:
            PointReadError: missing or unreadable.
        """
        scene = Scene(Path(path).stem, Path(path))
        return load_scene(self.layout, scene, mapping=self.class_map, unknown='ignore', need_labels=False)


def check_same_crs(first: PointCloud, second: PointCloud, names: tuple[str, str]) -> None:
    """Raise ``PointReadError`` when both clouds name a coordinate system and the names differ."""
    if first.crs and second.crs and not same_crs(first.crs, second.crs):
        raise PointReadError(
            names[1], 'fields', f'is in {crs_name(second.crs)}, but {names[0]} in {crs_name(first.crs)}.',
            'Transform one of them (for example with PDAL) before they are compared.',
        )  # fmt: skip


def pair_layout(
    name: str,
    files: PairFiles,
    class_maps: Sequence[tuple[str, ClassMap]] = (),
    splits: Sequence[str] = (),
    prepared: bool = False,
) -> PointLayout:
    """A layout whose scenes are folders with two files; the path of a scene is that of epoch 2.

    The columns are part of the name, which decides with the class map whether counted labels are still right.
    """
    first, second = files.stems
    expected = f'  <split>/.../<scene>/{first}.* and {second}.*   ({" ".join(SUFFIXES)})'
    return PointLayout(f'{name} {files}', dict(class_maps), tuple(splits), files.find, files, expected, prepared)


CHANGES = (
    'unchanged', 'new building', 'demolition', 'new vegetation', 'vegetation growth', 'missing vegetation',
    'mobile objects',
)  # fmt: skip
"""The classes of Urb3DCD-V2 and of generated pairs."""
CHANGE_COLOURS = (
    (170, 170, 170), (220, 50, 47), (38, 110, 210), (60, 180, 75), (170, 220, 90), (150, 90, 200), (250, 170, 40),
)  # fmt: skip
URB3DCD_V2 = ClassMap(CHANGES, CHANGE_COLOURS, {code: code for code in range(7)})
URB3DCD_V1 = ClassMap(CHANGES[:3], CHANGE_COLOURS[:3], {code: code for code in range(3)})
URB3DCD_STEMS = ('pointCloud0', 'pointCloud1')
URB3DCD_LAYOUTS = {
    'v2': pair_layout('urb3dcd', PairFiles(URB3DCD_STEMS, semantic='label_ch', element='params'), [('v2', URB3DCD_V2)],
                      ('Train', 'Val', 'Test'), prepared=True),
    'v1': pair_layout('urb3dcd', PairFiles(URB3DCD_STEMS, semantic='label_ch', element='Urb3DSimul'),
                      [('v1', URB3DCD_V1)], ('Train', 'Val', 'Test'), prepared=True),
}  # fmt: skip
"""Urb3DCD (de Gelis et al., Remote Sensing 13, 2021; version 2: ISPRS J. 197, 2023): simulated surveys of Lyon."""
