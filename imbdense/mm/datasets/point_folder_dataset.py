"""Data set: any folder of labelled point clouds."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from imbdense.data.points.class_map import ClassMap
from imbdense.data.points.errors import PointReadError
from imbdense.data.points.layout import PointLayout, Scene
from imbdense.data.points.source import folder_layout
from imbdense.mm.datasets.point_dataset import PointDataset, point_arguments
from imbdense.registry import DATASETS
from imbdense.utils.overlay import distinct_colours


@DATASETS.register_module()
@point_arguments(split='')
class PointFolderDataset(PointDataset):
    """Labelled clouds in a folder (LAS, LAZ, PLY, text, npz, npy), with any class list.

    Every file is a scene. Codes of the files become train ids by ``label_map``; a code it does not name is an error
    that lists it with its points, or ignored with ``unknown='ignore'``.

    Args:
        metainfo: must name ``classes``; ``palette`` is optional.
        label_map: code of the file -> train id or class name, -1 = ignored; ``None`` = codes are train ids.
        data_root: folder of the splits.
        split: sub-folder; '' = ``data_root`` itself.
        ann_file: split file below ``data_root`` with the files to use, one per line; '' = all of the folder.
        semantic, instance: columns with labels, where they have unusual names.
        columns: names of the columns, for files that do not tell them.
        unknown: ``'error'`` or ``'ignore'``.
        need_labels: ``False`` for clouds without labels, to predict.
        pipeline, indices, test_mode, serialize_data, lazy_init, max_refetch: as in mmengine.

    Raises:
        PointReadError: the folder is missing or holds no cloud. ValueError: no classes; a label_map that names others.
    """

    conformance_arguments = {'metainfo': {'classes': ('a', 'b')}, 'data_root': '.', 'lazy_init': True}

    @classmethod
    def layout_and_classes(
        cls,
        metainfo: Mapping[str, Any],
        label_map: Mapping[int, int | str] | None = None,
        semantic: str | None = None,
        instance: str | None = None,
        columns: Sequence[str] | None = None,
    ) -> tuple[PointLayout, ClassMap]:
        """What the files are, and the class map of a config."""
        layout = folder_layout(semantic=semantic, instance=instance, columns=columns)
        return layout, _class_map(metainfo, label_map)

    def find_scenes(self) -> list[Scene]:
        """The files of the folder, by name."""
        if not os.path.isdir(self.data_root):
            raise PointReadError(
                self.data_root, 'missing', f'is no folder (looked from {os.getcwd()}).', 'Check data_root.')
        layout = self.point_source.layout
        found = layout.find(Path(self.data_root), self.split)
        if not found:
            raise PointReadError(
                f'{self.data_root}/{self.split}', 'empty', 'holds no cloud.', f'Expected {layout.expected}.')
        return found


def _class_map(metainfo: Mapping[str, Any], label_map: Mapping[int, int | str] | None) -> ClassMap:
    """The class map of a config."""
    classes = tuple(map(str, metainfo.get('classes') or ()))
    if not classes:
        raise ValueError("PointFolderDataset: give the class names, metainfo=dict(classes=('a', 'b', ...)).")
    palette = [tuple(colour) for colour in metainfo.get('palette') or distinct_colours(len(classes))]
    codes: dict[int, int] = {}
    for code, train in (label_map or {code: code for code in range(len(classes))}).items():
        if isinstance(train, str) and train not in classes:
            raise ValueError(f'PointFolderDataset: label_map names {train!r}, which is none of {list(classes)}.')
        codes[int(code)] = classes.index(train) if isinstance(train, str) else int(train)
    return ClassMap(classes, tuple(palette), codes)
