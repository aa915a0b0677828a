"""Data sets: pairs of point clouds with the change between them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from imbdense.core.checks import check_choice, check_integer, check_number
from imbdense.data.points.class_map import ClassMap
from imbdense.data.points.errors import PointReadError
from imbdense.data.points.layout import PointLayout, Scene
from imbdense.data.points.pairs import (
    CHANGE_COLOURS,
    CHANGES,
    URB3DCD_LAYOUTS,
    URB3DCD_V2,
    PairFiles,
    PairSource,
    pair_layout,
)
from imbdense.mm.datasets.point_dataset import Pipeline, PointDataset, point_arguments
from imbdense.registry import DATASETS


class _PairDataset(PointDataset):
    """Scenes of a pair layout. A record has ``points_path`` (epoch 2, with the labels) and ``point_source``, which
    finds epoch 1; ``imbdense.LoadPointPair`` is put in front of the pipeline."""

    card = 'pointcloud_change'
    tasks = ('point change',)

    def __init__(
        self,
        layout: PointLayout,
        class_map: ClassMap,
        *,
        voxel: float = 1.0,
        keep: int = 16,
        pipeline: Pipeline = (),
        test_mode: bool = False,
        **others: Any,
    ) -> None:
        owner = type(self).__name__
        self.voxel = check_number('voxel', voxel, low=0.0, low_open=True, owner=owner)
        load = {'type': 'imbdense.LoadPointPair', 'voxel': self.voxel, 'full': bool(test_mode),
                'keep': check_integer('keep', keep, low=0, owner=owner)}
        super().__init__(
            layout, class_map, pipeline=[load, *pipeline] if pipeline else (), test_mode=test_mode, **others)

    def load_data_list(self) -> list[dict[str, Any]]:
        """One record per pair.

        Raises:
            PointReadError: a scene of the split file that is not there, or a pair without epoch 1.
        """
        source = self.point_source
        self.point_source = PairSource(source.layout, source.class_map, source.unknown, source.need_labels)
        records = super().load_data_list()
        for record in records:
            record['points_path_t1'] = str(self.point_source.layout.read.first(record['points_path']))
        return records


@DATASETS.register_module()
@point_arguments(split='')
class PointPairDataset(_PairDataset):
    """Pairs of point clouds in any format: one folder per scene with two files.

    ::

        data_root/train/scene_000/epoch1.laz, epoch2.laz     (labels: the column ``semantic`` of epoch 2)

    A folder that ``imbdense generate`` wrote has a ``dataset.json``: classes, colours and label codes come from there.
    Otherwise they are those of Urb3DCD-V2, or what ``metainfo`` and ``label_map`` say.

    Args:
        data_root: folder of the splits. split: sub-folder; '' = all below ``data_root``.
        voxel: metres; both clouds are reduced to the barycentres of such cells, a cell of epoch 2 has the most frequent
            label of its points. In ``test_mode`` the raw points are kept, and predictions are measured at them.
        keep: number of reduced pairs that a worker keeps in memory; crops of few scenes read them again and again.
        files: names of the two files of a pair, without suffix.
        metainfo: ``classes`` and, if you like, ``palette``.
        label_map: code of the file -> train id, -1 = ignored; ``None`` = codes are train ids.
        semantic, instance, element: columns of the labels and PLY element, where they have unusual names.
        ann_file: split file with names of scenes, one per line; '' = all.
        others: see :class:`PointDataset`.

    Raises:
        PointReadError: the folder is missing or holds no pair. ValueError: argument out of range.
    """

    conformance_arguments = {'data_root': '.', 'lazy_init': True}

    @classmethod
    def layout_and_classes(
        cls,
        data_root: str,
        files: Sequence[str] = ('epoch1', 'epoch2'),
        metainfo: Mapping[str, Any] | None = None,
        label_map: Mapping[int, int] | None = None,
        semantic: str | None = None,
        instance: str | None = None,
        element: str | None = None,
    ) -> tuple[PointLayout, ClassMap]:
        """What the files of a pair are, and the class map of the config or of ``dataset.json``."""
        if len(files) != 2 or isinstance(files, str):
            raise ValueError(f'PointPairDataset: files must name two files (epoch 1, epoch 2), but is {files!r}.')
        layout = pair_layout('pairs', PairFiles((files[0], files[1]), semantic, instance, None, element))
        return layout, _class_map(Path(data_root), metainfo, label_map)

    def find_scenes(self) -> list[Scene]:
        """The folders with a pair, by name."""
        root = Path(self.data_root)
        found = self.point_source.layout.find(root, self.split) if root.is_dir() else []
        if not found:
            raise PointReadError(
                root / self.split, 'missing' if not root.is_dir() else 'empty', 'holds no pair of clouds.',
                f'Expected\n{self.point_source.layout.expected}',
            )  # fmt: skip
        return found


@DATASETS.register_module()
@point_arguments(split='Train')
class Urb3DCDDataset(_PairDataset):
    """Urb3DCD: simulated pairs of airborne surveys of Lyon (de Gélis, Lefèvre & Corpetti, 2021 and 2023).

    Args:
        data_root: folder of one acquisition, for example ``IEEE_Dataset_V2_Lid05_MS/1-Lidar05``, with ``Train*``,
            ``Val*`` and ``Test*``, each with folders of ``pointCloud0.ply`` and ``pointCloud1.ply``.
        split: 'Train', 'Val' or 'Test'.
        version: 'v2' (7 classes) or 'v1' (unchanged, new building, demolition).
        others: see :class:`PointPairDataset`.
    """

    conformance_arguments = {'data_root': '.', 'lazy_init': True}

    @classmethod
    def layout_and_classes(cls, version: Literal['v1', 'v2'] = 'v2') -> tuple[PointLayout, ClassMap]:
        """Of the version."""
        layout = URB3DCD_LAYOUTS[check_choice('version', version, URB3DCD_LAYOUTS, owner='Urb3DCDDataset')]
        return layout, layout.class_map()


def _class_map(
    root: Path, metainfo: Mapping[str, Any] | None, label_map: Mapping[int, int] | None
) -> ClassMap:
    """What the config says, else ``dataset.json``, else Urb3DCD-V2."""
    record: Mapping[str, Any] = metainfo or {}
    path = root / 'dataset.json'
    if not record and path.is_file():
        try:
            record = json.loads(path.read_text('utf-8'))
        except ValueError as error:
            raise PointReadError(path, 'schema', f'is no JSON: {error}.', 'Generate the data set again.') from error
        label_map = label_map if label_map is not None else {
            int(code): int(train) for code, train in (record.get('label_map') or {}).items()} or None  # fmt: skip
    if not record.get('classes'):
        return URB3DCD_V2 if label_map is None else ClassMap(CHANGES, CHANGE_COLOURS, dict(label_map))
    classes = tuple(map(str, record['classes']))
    colours = record.get('palette') or [CHANGE_COLOURS[k % len(CHANGE_COLOURS)] for k in range(len(classes))]
    palette = tuple((int(red), int(green), int(blue)) for red, green, blue in colours)
    codes = {code: code for code in range(len(classes))} if label_map is None else dict(label_map)
    return ClassMap(classes, palette, codes)
