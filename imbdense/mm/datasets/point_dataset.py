"""The base of the data sets of labelled point clouds."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from inspect import Parameter
from typing import Any, TypeVar

from mmengine.dataset import BaseDataset

from imbdense.data.points.class_map import ClassMap
from imbdense.data.points.errors import PointReadError
from imbdense.data.points.layout import PointLayout, Scene
from imbdense.data.points.source import PointLabelFormat, PointSource, Unknown
from imbdense.data.readers.splits import read_split
from imbdense.mm.datasets.statistics import class_table
from imbdense.mm.host_arguments import host_parameters, set_constructor

Dataset = TypeVar('Dataset', bound=type)
Pipeline = Sequence[dict[str, Any] | Callable[..., Any]]


class PointDataset(BaseDataset):
    """Scenes of a layout, one record each: ``points_path``, ``scene`` and ``point_source``, with which
    ``imbdense.LoadPoints`` reads it.

    Samplers and class counts work as for images: a scene is an image, a point is a pixel; labels are counted once and
    cached beside the data. A data set is a class with :func:`point_arguments`.

    Args:
        layout, class_map: see :mod:`imbdense.data.points`.
        data_root: folder of the splits. split: see the layout.
        ann_file: file with the names of the scenes to use, one per line; '' = all of the split.
        unknown: what becomes of codes that the class map does not name: ``'error'`` or ``'ignore'``.
        need_labels: ``False`` for scenes without labels, to predict.
        pipeline, indices, test_mode, serialize_data, lazy_init, max_refetch: as in mmengine.
    """

    card = 'point_data'
    tasks = ('points',)

    def __init__(
        self,
        layout: PointLayout,
        class_map: ClassMap,
        *,
        data_root: str,
        split: str = 'train',
        ann_file: str = '',
        unknown: Unknown = 'error',
        need_labels: bool = True,
        pipeline: Pipeline = (),
        indices: int | Sequence[int] | None = None,
        test_mode: bool = False,
        serialize_data: bool = True,
        lazy_init: bool = False,
        max_refetch: int = 1000,
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


def point_arguments(**defaults: Any) -> Callable[[Dataset], Dataset]:
    """Class decorator of data sets: a constructor with the arguments of :class:`PointDataset` and some of its own.

    The own ones are those of the class method ``layout_and_classes``, which returns the layout and the class map. An
    argument that both have (``data_root``) is given to both. ``data_root`` and ``split`` may be given by place.

    Args:
        defaults: arguments of the base for which this data set has another default.
    """

    def decorate(cls: Dataset) -> Dataset:
        base: Any = cls.__base__
        inherited = host_parameters(base)
        del inherited['layout'], inherited['class_map']
        for name, value in defaults.items():
            inherited[name] = inherited[name].replace(default=value)
        own = inspect.signature(cls.layout_and_classes, eval_str=True).parameters  # type: ignore[attr-defined]
        shared = {name: one.default for name, one in own.items()
                  if name in inherited and one.default is not Parameter.empty}
        placed = [inherited[name].replace(kind=Parameter.POSITIONAL_OR_KEYWORD) for name in ('data_root', 'split')]
        named = {name: one.replace(kind=Parameter.KEYWORD_ONLY) for name, one in {**own, **inherited}.items()
                 if name not in ('data_root', 'split')}

        def build(self: Any, arguments: dict[str, Any]) -> None:
            given = {**shared, **arguments}
            layout, class_map = self.layout_and_classes(**{name: given[name] for name in own if name in given})
            rest = {name: value for name, value in given.items() if name in inherited}
            base.__init__(self, layout, class_map, **{**defaults, **rest})

        set_constructor(cls, [*placed, *named.values()], build)
        return cls

    return decorate
