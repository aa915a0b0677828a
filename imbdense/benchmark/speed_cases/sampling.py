"""Start of the class-aware sampler against mmdet's: from a data set object to the first index."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np

from imbdense.benchmark.speed_case import SpeedCase, Unequal, Workload
from imbdense.core.sampling import ClassAwareStream
from imbdense.core.stats import ImageClassTable

CLASSES = 80
IMAGES, DISTINCT = 1_000_000, 50_000
"""The annotations of DISTINCT images are repeated, so that they fit into memory; every one is still read."""
OBJECTS = 7
"""Objects per image, about as in COCO."""


def _objects(images: int) -> list[list[int]]:
    """Class indices of the objects of each distinct image, some without any; frequencies with a long tail."""
    rng = np.random.default_rng(0)
    per_image = rng.integers(0, 2 * OBJECTS + 1, min(images, DISTINCT))
    labels = (CLASSES * rng.random(int(per_image.sum())) ** 3).astype(np.int64)
    return [part.tolist() for part in np.split(labels, np.cumsum(per_image)[:-1])]


class SerializedObjects:
    """Annotations as mmdet keeps them: one pickled record per image, unpickled by ``get_cat_ids``."""

    metainfo = {'classes': tuple(map(str, range(CLASSES)))}

    def __init__(self, objects: list[list[int]], images: int) -> None:
        self.images = images
        box = [10.0, 20.0, 110.0, 220.0]
        records = []
        for image, labels in enumerate(objects):
            instances = [{'ignore_flag': 0, 'bbox': box, 'bbox_label': label} for label in labels]
            path = f'data/coco/train2017/{image:012d}.jpg'
            info = {'img_path': path, 'img_id': image, 'seg_map_path': None, 'height': 480, 'width': 640}
            records.append(pickle.dumps({**info, 'instances': instances}, protocol=4))
        self.ends = np.cumsum([len(record) for record in records])
        self.bytes = np.frombuffer(b''.join(records), dtype=np.uint8)

    def __len__(self) -> int:
        """Images."""
        return self.images

    def get_cat_ids(self, index: int) -> list[int]:
        """As mmdet's BaseDetDataset: the record is unpickled, then its labels are listed."""
        index %= self.ends.size
        start = 0 if index == 0 else self.ends[index - 1].item()
        info = pickle.loads(memoryview(self.bytes[start : self.ends[index].item()]))
        return [instance['bbox_label'] for instance in info['instances']]


def start(scale: float) -> Workload:
    """Ours begins with the class table (kept by the statistics of the data set); the peer reads its annotations."""
    from mmdet.datasets.samplers import ClassAwareSampler

    images = int(IMAGES * scale)
    objects = _objects(images)
    table = ImageClassTable.from_lists(objects, CLASSES).subset(np.arange(images) % len(objects))
    dataset = SerializedObjects(objects, images)

    def ours() -> Any:
        fresh = ImageClassTable(table.indptr, table.classes, table.amounts, CLASSES)  # nothing computed before
        stream = ClassAwareStream(fresh)
        return stream, stream.epoch(0, 0)

    def check(result: Any, peer: Any) -> str:
        stream, indices = result
        members = {int(c): len(images) for c, images in peer.cat_dict.items()}
        if [members[c] for c in range(CLASSES)] != stream.table.image_counts.tolist():
            raise Unequal('images per class differ')
        if indices.size != len(table):
            raise Unequal('epoch length differs')
        return 'images per class and epoch length equal'

    def peer() -> Any:
        sampler = ClassAwareSampler(dataset, seed=0)
        next(iter(sampler))
        return sampler

    return Workload(ours, peer, check)


CASES = (
    SpeedCase('sampler-start', 'BalancedClassSampler, start and first epoch, 10⁶ images', 'mmdet ClassAwareSampler',
              0.02, start, growth=5.5, peer_repeats=1),
)
