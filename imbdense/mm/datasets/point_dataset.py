"""The base of the data sets of labelled point clouds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from mmengine.dataset import BaseDataset

from imbdense.data.points.class_map import ClassMap
from imbdense.data.points.errors import PointReadError
from imbdense.data.points.layout import PointLayout, Scene
from imbdense.data.points.source import PointLabelFormat, PointSource, Unknown
from imbdense.data.readers.splits import read_split
from imbdense.mm.datasets.statistics import class_table

Pipeline = Sequence[dict[str, Any] | Callable[..., Any]]


class PointDataset(BaseDataset):
    """Scenes of a layout, one record each: ``points_path``, ``scene`` and ``point_source``, with which
    ``imbdense.LoadPoints`` reads it.

    Samplers and class counts work as for images: a scene is an image, a point is a pixel; labels are counted once and
    cached beside the data.

    Args:
        layout, class_map: see :mod:`imbdense.data.points`.
        others: as in mmengine.
    """

    card = 'point_data'
    tasks = ('points',)

    def __init__(
        self,
        layout: PointLayout,
        class_map: ClassMap,
        *,
        data_root: str,
        split: str,
        ann_file: str,
        unknown: Unknown,
        need_labels: bool,
        pipeline: Pipeline,
        indices: int | Sequence[int] | None,
        test_mode: bool,
        serialize_data: bool,
        lazy_init: bool,
        max_refetch: int,
    ) -> None:
        self.split = split
        self.point_source = PointSource(layout, class_map, unknown, need_labels)
        self.point_format = PointLabelFormat.of_source(self.point_source)
        super().__init__(
            ann_file=ann_file,
            metainfo={'classes': tuple(class_map.classes), 'palette': [list(colour) for colour in class_map.palette]},
            data_root=data_root,
            data_prefix={},
            indices=indices,
            serialize_data=serialize_data,
            pipeline=list(pipeline),
            test_mode=test_mode,
            lazy_init=lazy_init,
            max_refetch=max_refetch,
        )

    def find_scenes(self) -> list[Scene]:
        """The scenes of the split, in order.

        Raises:
            PointReadError: the folder is missing, or the layout finds none.
        """
        return self.point_source.layout.scenes(self.data_root, self.split)

    def load_data_list(self) -> list[dict[str, Any]]:
        """One record per scene, in the order of the layout or of the split file.

        Raises:
            PointReadError: a scene of the split file that is not there.
        """
        scenes = self.find_scenes()
        if self.ann_file:
            named = {scene.name: scene for scene in scenes} | {scene.path.name: scene for scene in scenes}
            wanted = read_split(self.ann_file)
            missing = [name for name in wanted if name not in named]
            if missing:
                raise PointReadError(
                    self.ann_file, 'missing', f'names the scenes {missing[:5]}, which are not there.',
                    f'Write one of {[scene.name for scene in scenes][:5]} ... per line.',
                )
            scenes = [named[name] for name in wanted]
        return [
            {'points_path': str(scene.path), 'scene': scene.name, 'point_source': self.point_source}
            for scene in scenes
        ]

    def get_cat_ids(self, idx: int) -> list[int]:
        """Classes that occur in scene ``idx``, ascending; the first call counts the labels (cached)."""
        return [int(klass) for klass in class_table(self).classes_of(idx)]
