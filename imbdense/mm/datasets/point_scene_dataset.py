"""Data set: clouds made by ``imbdense generate clouds``."""

from __future__ import annotations

from pathlib import Path

from imbdense.data.points.class_map import ClassMap
from imbdense.data.points.cloud import PointCloud
from imbdense.data.points.layout import PointLayout, Scene
from imbdense.data.points.read import read_points
from imbdense.data.readers.errors import LabelReadError
from imbdense.mm.datasets.point_dataset import PointDataset, point_arguments
from imbdense.mm.datasets.scene_record import read_scene_record
from imbdense.registry import DATASETS

CURE = 'Generate it: `imbdense generate clouds --preset small --images --out {root}`.'


@DATASETS.register_module()
@point_arguments()
class PointSceneDataset(PointDataset):
    """The generated aerial clouds; classes, colours, label map and splits come from ``dataset.json``.

    Layout: ``dataset.json``, ``splits/<split>.txt``, ``scenes/<scene>/cloud.*`` with ``cameras.json`` and, with
    ``--images``, images and depths beside each cloud.

    Args:
        data_root: the folder that was given as ``--out``.
        split: ``train`` or ``val``.
        others: see :class:`PointDataset`.

    Raises:
        LabelReadError: the data set was not generated (completely), or lacks the split.
    """

    @classmethod
    def layout_and_classes(cls, data_root: str, split: str = 'train') -> tuple[PointLayout, ClassMap]:
        """What the record of the data set says."""
        record = read_scene_record(data_root, CURE)
        if not record['splits'].get(split) or 'label_map' not in record:
            raise LabelReadError(f'{data_root}/dataset.json', 'schema',
                                 f'has no clouds in the split {split!r}; it has {sorted(record["splits"])}.',
                                 'Choose one of these. ' + CURE.format(root=data_root))  # fmt: skip
        colours = tuple((int(r), int(g), int(b)) for r, g, b in record['palette'])
        codes = dict.fromkeys(map(int, record['raw_classes']), -1)
        codes |= {int(code): int(train) for code, train in record['label_map'].items()}
        layout = PointLayout('generated clouds', {}, tuple(record['splits']), _scenes, _read, '  splits/<split>.txt')
        return layout, ClassMap(tuple(record['classes']), colours, codes)


def _scenes(root: Path, split: str) -> list[Scene]:
    """By the split file; the name of a scene is its folder's."""
    lines = (root / 'splits' / f'{split}.txt').read_text(encoding='utf-8').split()
    return [Scene(Path(line).parent.name, root / line) for line in lines]


def _read(scene: Scene) -> PointCloud:
    """Any format the generator writes."""
    return read_points(scene.path)
