"""What counts as an object of an image: the annotation, what a model predicts, proposals, or the image itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import nn

from imbdense.core.checks import check_integer, check_number
from imbdense.core.selection import UNKNOWN_CLASS
from imbdense.data.instance_bank.segmentation_masks import decode_segmentation
from imbdense.data.readers.detection import DetectionAnnotations
from imbdense.data.regions import connected_regions
from imbdense.mm.datasets.label_source import dataset_classes
from imbdense.mm.inference.pixel_records import segmentor_facts
from imbdense.mm.object_pool.images import PoolImages
from imbdense.mm.prior import load_label, locate
from imbdense.mm.pseudo_label.outputs import box_record, deciding_network, label_and_confidence


class Window(NamedTuple):
    """The part of a mask that holds all of it, and where its first pixel lies in the image."""

    mask: NDArray[np.bool_]
    top: int
    left: int


class FoundObject(NamedTuple):
    """One object in pixels of the original image: box x1, y1, x2, y2; area of the mask, or of the box without one."""

    klass: int
    score: float
    box: Sequence[float]
    area: float
    window: Window | None


Source = Callable[[int, Any], list[FoundObject]]
"""(place in the pool, predicted sample of the host) -> objects."""


def region_objects(
    label: NDArray[Any], num_classes: int, min_area: int, confidence: NDArray[Any] | None = None
) -> list[FoundObject]:
    """The 8-connected regions of a label map (H, W) with at least ``min_area`` pixels.

    The score is the mean ``confidence`` (H, W) over the region, 1 without.
    """
    found = []
    for klass, rows, columns, inside in connected_regions(label, num_classes, min_area):
        score = 1.0 if confidence is None else float(confidence[rows, columns][inside].mean(dtype=np.float64))
        box = (columns.start, rows.start, columns.stop, rows.stop)
        window = Window(inside, rows.start, columns.start)
        found.append(FoundObject(klass, score, box, float(inside.sum()), window))
    return found


def ground_truth(images: PoolImages, min_area: int = 16) -> Source:
    """Annotated objects: instances (with their masks where the annotation has them; ignored ones left out), or the
    connected regions of a label map.

    Raises:
        ValueError: the images belong to no data set. BankError, LabelReadError: later, for an annotation that cannot be
            decoded or is of another size than the image.
    """
    if images.dataset is None:
        raise ValueError('ground truth needs a data set of a config (--split), not image files.')
    check_integer('min_area', min_area, low=1)
    classes = len(dataset_classes(images.dataset))

    def objects(place: int, sample: Any) -> list[FoundObject]:
        base, local = locate(images.dataset, images.indices[place])
        info, name, size = base.get_data_info(local), images.ids[place], image_size(sample)
        if 'instances' in info:
            return [_annotated(instance, size, name) for instance in info['instances']
                    if not instance.get('ignore_flag')]
        label = load_label(images.dataset, images.indices[place])
        if label.shape != size:
            raise ValueError(f'{name} is {size[0]} x {size[1]} pixels, but its label is {label.shape}.')
        ignored = int(getattr(base, 'ignore_index', 255))
        return region_objects(np.where(label == ignored, -1, label.astype(np.int64)), classes, min_area)

    return objects


def predicted_objects(model: nn.Module, score_thr: float = 0.15, min_area: int = 16) -> Source:
    """What a model predicts: boxes of a detector from ``score_thr`` on, best first, with masks where it predicts them;
    or the connected regions of a segmentor's argmax, with the mean of the largest class probability as score."""
    check_number('score_thr', score_thr, low=0, high=1)
    check_integer('min_area', min_area, low=1)
    network = deciding_network(model)
    facts = segmentor_facts(network) if hasattr(network, 'decode_head') else None

    def objects(place: int, sample: Any) -> list[FoundObject]:
        if facts is None:
            return _detected(sample, score_thr)
        label, confidence = label_and_confidence(sample, facts)
        return region_objects(label.cpu().numpy(), facts['num_classes'], min_area, confidence.float().cpu().numpy())

    return objects


def external_proposals(annotations: DetectionAnnotations, images: PoolImages) -> Source:
    """Proposals of a COCO json with ``score``, matched to the images by file name; crowd boxes are left out.

    Raises:
        ValueError: no image of the json is in the pool, or images with proposals are not.
    """
    place = {name: number for number, name in enumerate(images.ids)}
    number_of = {place[image.file_name]: number for number, image in enumerate(annotations.images)
                 if image.file_name in place}
    foreign = [image.file_name for number, image in enumerate(annotations.images)
               if image.file_name not in place and len(annotations.objects_of(number))]
    if foreign or not number_of:
        first = foreign[0] if foreign else annotations.images[0].file_name
        raise ValueError(
            f'{annotations.source}: {len(foreign)} images with proposals are not among the images of the pool (the '
            f'first is {first!r}; the pool begins with {images.ids[0]!r}). file_name must be the path inside the image '
            f'folder.'
        )

    def objects(at: int, sample: Any) -> list[FoundObject]:
        if at not in number_of:
            return []
        size, found = image_size(sample), []
        for row in annotations.objects_of(number_of[at]):
            if not annotations.crowd[row]:
                mask = annotations.masks[row]
                window = None if mask is None else window_of(decode_segmentation(mask, *size, images.ids[at]))
                found.append(FoundObject(int(annotations.labels[row]), float(annotations.score[row]),
                                         annotations.boxes[row].tolist(), float(annotations.area[row]), window))
        return found

    return objects


def whole_image(place: int, sample: Any) -> list[FoundObject]:
    """The image as its one object, of unknown class: a source for images without labels, boxes or a detector."""
    height, width = image_size(sample)
    window = Window(np.ones((height, width), bool), 0, 0)
    return [FoundObject(UNKNOWN_CLASS, 1.0, (0, 0, width, height), float(height * width), window)]


def of_classes(found: Sequence[FoundObject], index: Mapping[int, int]) -> list[FoundObject]:
    """The objects whose class is a key of ``index``, with the class it maps to."""
    return [item._replace(klass=index[item.klass]) for item in found if item.klass in index]


def image_size(sample: Any) -> tuple[int, int]:
    """(height, width) of the image file of a sample."""
    return int(sample.ori_shape[0]), int(sample.ori_shape[1])


def window_of(mask: NDArray[np.bool_]) -> Window:
    """The window of a mask (H, W); of an empty one its first pixel."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not rows.size:
        return Window(mask[:1, :1], 0, 0)
    top, left = int(rows[0]), int(columns[0])
    return Window(mask[top : rows[-1] + 1, left : columns[-1] + 1], top, left)


def _annotated(instance: Mapping[str, Any], size: tuple[int, int], name: str) -> FoundObject:
    """An annotated instance of a detection data set."""
    box = [float(value) for value in instance['bbox']]
    window = window_of(decode_segmentation(instance['mask'], *size, name)) if instance.get('mask') else None
    return FoundObject(int(instance['bbox_label']), 1.0, box, _area(box, window), window)


def _detected(sample: Any, score_thr: float) -> list[FoundObject]:
    """The boxes of a detector."""
    record, masks = box_record(sample), sample.pred_instances.get('masks')
    order = np.argsort(-sample.pred_instances.scores.float().cpu().numpy(), kind='stable')
    found = []
    for row in np.flatnonzero(record['scores'] >= score_thr).tolist():
        box = record['boxes'][row].tolist()
        window = None if masks is None else window_of(masks[int(order[row])].cpu().numpy().astype(bool))
        klass, score = int(record['labels'][row]), float(record['scores'][row])
        found.append(FoundObject(klass, score, box, _area(box, window), window))
    return found


def _area(box: Sequence[float], window: Window | None) -> float:
    """Pixels of the mask, or of the box."""
    if window is not None:
        return float(window.mask.sum())
    return max(box[2] - box[0], 0.0) * max(box[3] - box[1], 0.0)
