"""The registry walk: find every registered class of a kind, build it, and hand the tests what it works on.

A plugin added to a registry is walked without an edit here. Its required constructor arguments are filled **by name**
from :func:`pool` (dataset, ann_file, class_counts, ...); a class that needs something else has an attribute
``conformance_arguments: dict`` with it. What a loss, sampler or metric is fed with follows from its ``tasks``.
"""

from __future__ import annotations

import inspect
import json
import tempfile
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from imbdense.registry import REGISTRIES

CLASSES = ('road', 'roof', 'tree', 'car', 'mast')
COUNTS = [900.0, 90.0, 9.0, 3.0, 1.0]
META = {'classes': CLASSES, 'land_cover': CLASSES}


@lru_cache
def members(kind: str) -> dict[str, type]:
    """Registered name -> class, of one of our registries, importing its rooms first."""
    registry = REGISTRIES[kind]
    registry.import_from_location()
    return {name: cls for name, cls in sorted(registry.module_dict.items()) if cls.__module__.startswith('imbdense')}


def everything() -> list[tuple[str, str, type]]:
    """(kind, name, class) of all registered classes."""
    return [(kind, name, cls) for kind in REGISTRIES for name, cls in members(kind).items()]


def losses() -> dict[str, type]:
    """Registered losses of labels: the modules whose name ends with Loss, but for those of reconstructions."""
    return {
        name: cls for name, cls in members('model').items() if name.endswith('Loss') and cls.tasks != ('features',)
    }


class TinyDataset:
    """Twelve images; class 4 (mast) on one of them, two images empty; get_cat_ids like a host data set."""

    metainfo = {'classes': CLASSES}
    rows = [[0, 0, 1], [0], [0, 1, 1], [], [0, 2], [0], [1], [0, 1], [0, 3], [], [0], [0, 4]]

    def __len__(self) -> int:
        return len(self.rows)

    def get_cat_ids(self, index: int) -> list[int]:
        """Class of each object of an image."""
        return self.rows[index]


class AbsentClassDataset(TinyDataset):
    """The same without a single mast."""

    rows = [[c for c in row if c != 4] for row in TinyDataset.rows]


def pool(folder: Path) -> dict[str, Any]:
    """Constructor arguments by name."""
    return {
        'dataset': TinyDataset(),
        'ann_file': str(coco_file(folder)),
        'class_counts': COUNTS,
        'crop_size': (8, 8),
        'transforms': [{'type': 'HorizontalFlip', 'p': 0.5}],
    }


def build(cls: type, folder: Path | None = None, **given: Any) -> Any:
    """Construct ``cls`` with ``given``, its ``conformance_arguments``, and the pool for what is still required."""
    arguments = {**getattr(cls, 'conformance_arguments', {}), **given}
    for name, parameter in inspect.signature(cls).parameters.items():
        if parameter.default is inspect.Parameter.empty and name not in arguments:
            if parameter.kind in (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD):
                continue
            available = pool(folder or Path(tempfile.mkdtemp(prefix='imbdense-conformance-')))
            if name not in available:
                raise TypeError(
                    f'{cls.__name__} needs {name!r}: give it a default, or a class attribute '
                    f"conformance_arguments = {{'{name}': ...}} with which the conformance tests can build it."
                )
            arguments[name] = available[name]
    return cls(**arguments)


def takes(cls: type, name: str) -> bool:
    """Whether the constructor has a parameter of that name."""
    return name in inspect.signature(cls).parameters


# What losses are fed with -------------------------------------------------------------------------------------------


def loss_inputs(cls: type, seed: int = 0) -> dict[str, tuple[torch.Tensor, torch.Tensor, int, int]]:
    """task -> (logits with gradient, target, ignore value, number of classes), for every task of the loss.

    Losses of change *and* land cover take no single pair of logits and labels: ``tests/mm/losses/test_joint_change.py``
    walks them.
    """
    generator = torch.Generator().manual_seed(seed)
    found = {}
    for task, shape, extra, ignore in (
        ('segmentation', (2, 9, 7), 0, 255),
        ('volumes', (2, 3, 5, 4), 0, 255),
        ('points', (60,), 0, -1),
        ('detection', (60,), 1, -1),
    ):
        if task not in cls.tasks:
            continue
        values = len(CLASSES) + extra
        channels = len(CLASSES) if getattr(cls, 'use_sigmoid', False) else values  # background: no sigmoid of its own
        if task == 'detection' and hasattr(cls, 'roi_channels'):
            channels = roi_channels(build(cls, **(loss_variants(cls)[0])))
        pred = torch.randn(shape[0], channels, *shape[1:], generator=generator).requires_grad_()
        target = torch.randint(0, values, shape, generator=generator)
        target[torch.rand(shape, generator=generator) < 0.2] = ignore
        found[task] = (pred, target, ignore, len(CLASSES))
    return found


def loss_variants(cls: type) -> list[dict[str, Any]]:
    """Constructor variants to walk: counts given where the loss takes some, and what it counts itself, if it does."""
    if not takes(cls, 'class_counts'):
        return [{}]
    return [{'class_counts': COUNTS}] if getattr(cls, 'needs_counts', False) else [{'class_counts': COUNTS}, {}]


def roi_channels(loss: Any) -> int:
    """Channels of the logits in a detection head of mmdet: C for one sigmoid per class (dense heads), else what the
    loss says when a box head asks, else C + 1."""
    if loss.use_sigmoid:
        return len(CLASSES)
    if getattr(loss, 'custom_cls_channels', False):
        return loss.get_cls_channels(len(CLASSES))
    return len(CLASSES) + 1


# What metrics are fed with -------------------------------------------------------------------------------------------


def coco_file(folder: Path) -> Path:
    """A COCO json of eight images without any mast."""
    path = folder / 'conformance_val.json'
    if not path.exists():
        generator = np.random.default_rng(0)
        images = [{'id': i, 'file_name': f'{i}.png', 'width': 100, 'height': 100} for i in range(8)]
        annotations = []
        for image in images:
            for klass in generator.integers(0, 4, 3).tolist():
                x, y = generator.integers(0, 70, 2).tolist()
                annotations.append(
                    {'id': len(annotations) + 1, 'image_id': image['id'], 'category_id': klass + 1,
                     'bbox': [x, y, 20, 25], 'area': 500, 'iscrowd': 0}
                )  # fmt: skip
        categories = [{'id': i + 1, 'name': name} for i, name in enumerate(CLASSES)]
        record = {'images': images, 'annotations': annotations, 'categories': categories}
        path.write_text(json.dumps(record))
    return path


def metric_samples(cls: type, folder: Path) -> list[dict[str, Any]]:
    """Eight samples as the host's evaluation loops hand them on; no mast anywhere."""
    generator = torch.Generator().manual_seed(0)
    if 'segmentation' in cls.tasks:
        return [_seg_sample(i, generator) for i in range(8)]
    if 'change_detection' in cls.tasks:
        return [_change_sample(i, generator) for i in range(8)]
    if {'points', 'point change', 'point instance segmentation'} & set(cls.tasks):
        return [_point_sample(i, generator) for i in range(8)]
    if 'detection_3d' in cls.tasks:
        return [_point_det_sample(i, generator) for i in range(8)]
    truth = json.loads(coco_file(folder).read_text())
    return [_det_sample(image['id'], truth, generator) for image in truth['images']]


def _seg_sample(index: int, generator: torch.Generator) -> dict[str, Any]:
    label = torch.randint(0, 4, (1, 12, 10), generator=generator)
    logits = torch.randn(len(CLASSES), 12, 10, generator=generator)
    logits.scatter_add_(0, label, torch.full((1, 12, 10), 1.5))
    logits[4] -= 20  # no mast is predicted either: the class is absent, not wrong
    label[0, :2] = 255
    return {
        'img_path': f'{index}.png',
        'seg_map_path': f'{index}_label.png',
        'gt_sem_seg': {'data': label},
        'seg_logits': {'data': logits},
        'pred_sem_seg': {'data': logits.argmax(0, keepdim=True)},
    }


def _change_sample(index: int, generator: torch.Generator) -> dict[str, Any]:
    """Three dates of land cover; the change map is that between the first two."""

    def altered(maps: torch.Tensor, share: float) -> torch.Tensor:
        other = torch.randint(0, 4, maps.shape, generator=generator)
        return torch.where(torch.rand(maps.shape, generator=generator) < share, other, maps)

    truth = [torch.randint(0, 4, (1, 12, 10), generator=generator)]
    truth += [altered(truth[0], 0.4) for _ in range(2)]
    pred = [altered(maps, 0.2) for maps in truth]
    sample = {'img_path': f'{index}.png'}
    for side, maps in (('gt', truth), ('pred', pred)):
        sample[f'{side}_sem_seg'] = {'data': (maps[0] != maps[1]).long()}
        for date, land_cover in enumerate(maps, start=1):
            sample[f'{side}_sem_t{date}'] = {'data': land_cover.clone()}
    sample['gt_sem_seg']['data'][0, :2] = sample['gt_sem_t2']['data'][0, :2] = 255
    return sample


def _point_det_sample(index: int, generator: torch.Generator) -> dict[str, Any]:
    """Six objects of the first four classes, of which the last is ignored, detected a little beside them."""
    boxes = torch.rand(6, 7, generator=generator) * torch.tensor([40.0, 40, 1, 2, 1, 1, 6])
    boxes[:, 3:6] += 1.5
    labels = torch.randint(0, 4, (6,), generator=generator)
    truth = {'boxes': boxes, 'labels': labels, 'difficulty': torch.randint(0, 3, (6,), generator=generator)}
    parts = [{name: values[rows] for name, values in truth.items()} for rows in (slice(0, 5), slice(5, 6))]
    found = boxes + torch.randn(boxes.shape, generator=generator) * 0.05
    return {
        'points_path': f'{index}.bin',
        'gt_instances_3d': parts[0],
        'ignored_instances_3d': parts[1],
        'pred_instances_3d': {'boxes': found, 'labels': labels, 'scores': torch.rand(6, generator=generator)},
    }


def _point_sample(index: int, generator: torch.Generator) -> dict[str, Any]:
    """Objects of 15 points in a row; the prediction loses the border of some and calls some by another name."""
    instance = torch.arange(180) // 15
    semantic = torch.randint(0, 4, (12,), generator=generator)[instance]
    semantic[:10] = instance[:10] = -1
    wrong = torch.rand(12, generator=generator)[instance.clamp(min=0)] < 0.2
    scores = torch.rand(180, len(CLASSES), generator=generator)
    predicted = torch.where(wrong, (semantic + 1) % 4, semantic.clamp(min=0))
    found = torch.where(torch.rand(180, generator=generator) < 0.2, -1, instance)
    return {
        'scene': f'scene{index}',
        'gt_pts_seg': {'semantic': semantic, 'instance': instance},
        'pred_pts_seg': {'semantic': predicted, 'instance': found, 'scores': scores},
    }


def _det_sample(image: int, truth: dict[str, Any], generator: torch.Generator) -> dict[str, Any]:
    own = [a for a in truth['annotations'] if a['image_id'] == image]
    boxes = torch.tensor([[*a['bbox'][:2], a['bbox'][0] + 20, a['bbox'][1] + 25] for a in own], dtype=torch.float32)
    return {
        'img_id': image,
        'ori_shape': (100, 100),
        'pred_instances': {
            'bboxes': boxes + torch.randn(boxes.shape, generator=generator) * 3,
            'scores': torch.rand(len(own), generator=generator),
            'labels': torch.tensor([a['category_id'] - 1 for a in own]),
        },
    }


def evaluate(metric: Any, samples: list[dict[str, Any]], batch_size: int) -> dict[str, float]:
    """Run a metric over ``samples`` in batches."""
    metric.dataset_meta = META
    for start in range(0, len(samples), batch_size):
        metric.process({}, samples[start : start + batch_size])
    return metric.evaluate(len(samples))
