"""Fill a round of an instance bank from the annotations of a data set: images of mmseg or mmdet, point clouds."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from imbdense.data.instance_bank import (
    BankError,
    BankObject,
    RoundWriter,
    cut_instances,
    cut_parts,
    cut_points,
    cut_regions,
)
from imbdense.data.instance_bank.objects import Modality
from imbdense.data.instance_bank.segmentation_masks import decode_segmentation
from imbdense.data.readers.errors import LabelReadError
from imbdense.mm.dataset_wrappers import children, leaves, own_indices, sample_file
from imbdense.mm.datasets.label_source import dataset_classes
from imbdense.mm.prior import locate
from imbdense.mm.reproducible import seeded_generators
from imbdense.mm.transforms.point_fields import part_table

SHARD = 16
"""Images per shard: what is lost when a run is killed."""


def fill_round(
    dataset: Any,
    writer: RoundWriter,
    *,
    classes: Sequence[int] | None = None,
    min_area: int = 16,
    seed: int = 0,
    ranks: tuple[int, int] = (0, 1),
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Cut the annotated objects out of every image and write them as shards of ``writer``; finished ones are skipped.

    Does not finish the round: that is for one process, when all have returned.

    Args:
        dataset: data set, or a wrapper; images that it repeats are taken once.
        classes: only these class indices; default all.
        min_area: smallest object in pixels, or in points.
        seed: of what the loading transforms draw (a random window of a raster), per image.
        ranks: (rank, number of ranks): rank r of n writes the shards r, r + n, ...
        progress: called with (images done, images) of this rank.

    Raises:
        BankError: an image or mask that cannot be decoded. LabelReadError: a label that cannot be read.
    """
    images = distinct_images(dataset)
    shards = [images[start : start + SHARD] for start in range(0, len(images), SHARD)]
    mine = range(ranks[0], len(shards), ranks[1])
    wanted = None if classes is None else set(classes)
    done, total = 0, sum(len(shards[number]) for number in mine)
    for number in mine:
        name = f'images_{number:06d}'
        if not writer.has(name):
            found = (item for index in shards[number] for item in annotated_objects(dataset, index, min_area, seed))
            writer.write(name, (item for item in found if wanted is None or item.klass in wanted))
        done += len(shards[number])
        if progress is not None:
            progress(done, total)


def annotated_objects(dataset: Any, index: int, min_area: int, seed: int) -> Iterator[BankObject]:
    """Yield the objects of one image as annotated: instances with their masks where the annotation has them, else
    boxes; connected regions of a label map; points in boxes, or parts of a cloud (:func:`cut_parts`), with all their
    attributes. Ignored objects, pixels and points are left out.

    The image is loaded by the data set's own loading transforms, so that it has the number type, the bands and their
    order that a paste later meets; resizes and other transforms are not applied.

    Raises:
        BankError: an image that cannot be loaded, or is of another size than its annotation says.
    """
    base, local = locate(dataset, index)
    info = base.get_data_info(local)
    name = image_name(base, info, index)
    with seeded_generators(seed, index):
        results = _loaded(base, dict(info), name)
    if 'points' in results:
        table = part_table(results)
        if 'instances' in info:
            real = [item for item in info['instances'] if not item.get('ignore_flag')]
            boxes, klasses = [item['bbox'] for item in real], [item['bbox_label'] for item in real]
            yield from cut_points(table, name, boxes, klasses, min_points=min_area)
            return
        labels, instances = results.get('gt_semantic'), results.get('gt_instance')
        if labels is None:
            raise BankError(f'{name} has no labels, so nothing can be cut out of it.')
        yield from cut_parts(table, name, labels, len(dataset_classes(base)), instances, min_points=min_area)
        return
    if 'img' not in results:
        raise BankError(f'{name}: no transform of the pipeline loads the image (a name that begins with Load).')
    image = results['img']
    image = image if image.ndim == 3 else image[..., None]
    if 'instances' not in info:
        num_classes = len(dataset_classes(base))
        ignored = int(getattr(base, 'ignore_index', 255))
        label = np.asarray(results['gt_seg_map'])
        label = np.where(label == ignored, 255, label) if ignored < num_classes else label
        yield from cut_regions(image, name, label, num_classes, min_area=min_area)
        return
    if image.shape[:2] != (int(info['height']), int(info['width'])):
        raise BankError(f'{name} is loaded as {image.shape[:2]}, annotated as {(info["height"], info["width"])}.')
    real = [instance for instance in info['instances'] if not instance.get('ignore_flag')]
    masks = [
        decode_segmentation(instance['mask'], *image.shape[:2], name) if instance.get('mask') else None
        for instance in real
    ]
    boxes, labels = [instance['bbox'] for instance in real], [instance['bbox_label'] for instance in real]
    yield from cut_instances(image, name, boxes, labels, masks, min_area=min_area)


def round_identity(dataset: Any, classes: Sequence[int] | None, min_area: int, seed: int) -> dict[str, Any]:
    """What decides which objects :func:`fill_round` cuts out: a run with another identity must not go on with it."""
    names = []
    for index in distinct_images(dataset):
        base, local = locate(dataset, index)
        names.append(image_name(base, base.get_data_info(local), index))
    transforms = next(leaves(dataset)).pipeline.transforms
    loading = [re.sub(' at 0x[0-9a-f]+', '', repr(transform)) for transform in transforms if _loads(transform)]
    return {
        'images': len(names), 'names': hashlib.sha256('\n'.join(names).encode()).hexdigest(), 'loading': loading,
        'classes': None if classes is None else sorted(classes), 'min_area': min_area, 'seed': seed,
    }  # fmt: skip


def bank_modality(dataset: Any) -> Modality:
    """Whether the records are about point clouds or images."""
    return 'points' if 'points_path' in next(leaves(dataset)).get_data_info(0) else 'image'


def _loaded(dataset: Any, results: dict[str, Any], name: str) -> dict[str, Any]:
    """A record after the loading transforms; the host's errors become one that names the image."""
    try:
        for transform in dataset.pipeline.transforms:
            if _loads(transform):
                results = transform(results)
    except (LabelReadError, BankError):
        raise
    except Exception as error:  # whatever a decoder raises
        raise BankError(f'{name} cannot be loaded ({type(error).__name__}: {error}). Run `imbdense check`.') from error
    return results


def distinct_images(dataset: Any) -> list[int]:
    """The indices of a data set, each image once; of a semi-supervised one those of its labelled part, which come
    first: annotations that unlabelled images may have are not read."""
    labeled = getattr(dataset, 'labeled', None)
    if labeled is not None:
        return distinct_images(labeled)
    indices = own_indices(dataset) if children(dataset) else None
    if indices is None:
        return list(range(len(dataset)))
    return np.sort(np.unique(indices, return_index=True)[1]).tolist()


def image_name(dataset: Any, info: dict[str, Any], index: int) -> str:
    """The image's path inside the image folder (so that a moved data set gives the same bank), else its file name."""
    path = sample_file(info) or str(index)
    prefix = getattr(dataset, 'data_prefix', None) or {}
    folder = prefix.get('img_path') or prefix.get('img') or prefix.get('points')
    inside = folder and os.path.abspath(path).startswith(os.path.abspath(folder) + os.sep)
    return os.path.relpath(path, folder).replace(os.sep, '/') if inside else os.path.basename(path)


def _loads(transform: Any) -> bool:
    """Whether a transform reads files or prepares a whole scene, rather than changes images."""
    return type(transform).__name__.startswith('Load') or getattr(transform, 'whole_scene', False)
