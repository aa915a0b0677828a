"""Draw from each image what the shift measures need: features, features per class, outputs for the prior."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage

from imbdense.core.inference import ImageObjects, draw_pixels
from imbdense.core.overlaps import box_iou
from imbdense.core.shift import ClassOutputs, ClassVectors, PoolSample

SURE = 0.8
PER_IMAGE = 50
MAX_DIM = 256
OUTPUTS, MOST_OUTPUTS, LEAST_OUTPUTS = 50_000, 64, 4
OBJECT_SCORE, OBJECT_IOU = 0.3, 0.5
Array = NDArray[Any]


class PoolCollector:
    """Collects one side, image by image.

    The draw of an image depends on (seed, image) alone. Features wider than 256 are projected on 256 random orthonormal
    directions (the same on both sides), so that memory does not grow with the network.

    Args:
        num_classes: K. images: how many will come; decides the share of each. max_vectors: in all. seed: of the draws.
    """

    def __init__(self, num_classes: int, images: int, max_vectors: int = 20_000, seed: int = 0) -> None:
        self.num_classes = num_classes
        self.per_image = max(1, min(PER_IMAGE, max_vectors // max(images, 1)))
        self.per_class = max(LEAST_OUTPUTS, min(MOST_OUTPUTS, OUTPUTS // max(images, 1)))
        self.seed = seed
        self.images: list[int] = []
        self.means: list[Array] = []
        self._parts: dict[str, list[tuple[Array, ...]]] = defaultdict(list)

    def add_segmentation(
        self, image: int, feature: torch.Tensor, seen: tuple[float, float], logits: Array, label: Array | None
    ) -> None:
        """One segmented image.

        Args:
            feature: (C, h, w). seen: share of the map's height and width that shows the image and not padding.
            logits: (K, H, W). label: (H, W) with values outside [0, K) where ignored; ``None`` = unlabelled.
        """
        rng = np.random.default_rng((self.seed, image))
        vectors, rows, columns = self._start(image, feature, seen)
        predicted = logits.argmax(axis=0)
        y = _places(rows, feature.shape[1] * seen[0], predicted.shape[0])
        x = _places(columns, feature.shape[2] * seen[1], predicted.shape[1])
        at = logits[:, y, x].astype(np.float64)
        chance = np.exp(at - at.max(axis=0))
        sure = np.where(chance.max(axis=0) / chance.sum(axis=0) >= SURE, predicted[y, x], -1)
        shape = (int(rows[-1]) + 1, int(columns[-1]) + 1)
        self._add_uniform(image, vectors, rng)
        self._add_classes('by_class', image, vectors, sure, shape, rng)
        if label is not None:
            self._add_classes('truth', image, vectors, label[y, x].astype(np.int64), shape, rng)
        outputs = drawn_outputs(logits, label, image, self.per_class, rng)
        self._parts['outputs'].append((outputs.logits, outputs.label, outputs.weight, outputs.group))

    def add_detection(
        self, image: int, feature: torch.Tensor, seen: tuple[float, float], found: tuple[Array, Array, Array],
        size: tuple[int, int], objects: ImageObjects | None,
    ) -> None:  # fmt: skip
        """One image of a detector; objects are read at the middle of their boxes.

        Args:
            found: boxes (n, 4), labels, scores. size: (H, W) the boxes are in. objects: the annotated ones; ``None`` =
                unlabelled.
        """
        rng = np.random.default_rng((self.seed, image))
        vectors, _, columns = self._start(image, feature, seen)
        width = int(columns.max()) + 1
        self._add_uniform(image, vectors, rng)
        boxes, labels, scores = found
        sure = scores >= SURE
        self._add_objects('by_class', image, vectors, boxes[sure], labels[sure], size, width)
        if objects is not None:
            real = ~objects.ignored
            self._add_objects('truth', image, vectors, objects.boxes[real], objects.labels[real], size, width)
        kept = np.flatnonzero(scores >= OBJECT_SCORE)
        chance = np.full((kept.size, self.num_classes + 1), 1e-6)
        chance[np.arange(kept.size), labels[kept]] = scores[kept].clip(1e-6, 1 - 1e-6)
        chance[:, -1] = 1.0 - scores[kept].clip(1e-6, 1 - 1e-6)
        known = np.full(kept.size, -1)
        if objects is not None:
            known = match_classes(boxes[kept], scores[kept], objects, self.num_classes)
        counted = known >= 0 if objects is not None else np.ones(kept.size, bool)
        self._parts['outputs'].append((
            np.log(chance[counted]).astype(np.float32), known[counted], np.ones(int(counted.sum())),
            np.full(int(counted.sum()), image),
        ))  # fmt: skip

    def add_features(self, image: int, feature: torch.Tensor, seen: tuple[float, float]) -> None:
        """The mean feature of an image alone, for :attr:`means`."""
        self._start(image, feature, seen)

    def sample(self) -> PoolSample:
        """Everything that was collected.

        Raises:
            ValueError: no image was added.
        """
        if not self.images:
            raise ValueError('no image could be used, so there is nothing to measure.')
        vectors, groups = (np.concatenate(arrays) for arrays in zip(*self._parts['uniform']))
        chosen = {
            name: ClassVectors(*(np.concatenate(arrays) for arrays in zip(*self._parts[name])))
            for name in ('by_class', 'truth') if self._parts[name]
        }  # fmt: skip
        outputs = [np.concatenate(arrays) for arrays in zip(*self._parts['outputs'])]
        made = ClassOutputs(*outputs) if len(outputs[0]) else None
        return PoolSample(vectors, groups, chosen.get('by_class'), chosen.get('truth'), made)

    def merge(self, other: PoolCollector) -> None:
        """Take over what another collector has."""
        self.images += other.images
        self.means += other.means
        for name, parts in other._parts.items():
            self._parts[name] += parts

    def image_means(self) -> tuple[Array, Array]:
        """((M,) different images, (M, d) mean feature of each)."""
        names, index = np.unique(np.asarray(self.images, dtype=np.int64), return_inverse=True)
        sums = np.zeros((len(names), self.means[0].size))
        np.add.at(sums, index.reshape(-1), np.stack(self.means))
        return names, sums / np.bincount(index.reshape(-1))[:, None]

    def _start(self, image: int, feature: torch.Tensor, seen: tuple[float, float]) -> tuple[Array, Array, Array]:
        """(vectors of the map without padding (n, C), row, column of each); remembers the mean."""
        height = max(1, round(feature.shape[1] * min(seen[0], 1.0)))
        width = max(1, round(feature.shape[2] * min(seen[1], 1.0)))
        part = feature[:, :height, :width].to('cpu', torch.float32).flatten(1).T.numpy()
        if part.shape[1] > MAX_DIM:
            part = part @ projection(part.shape[1], self.seed)
        self.images.append(image)
        self.means.append(part.mean(axis=0))
        rows, columns = np.divmod(np.arange(height * width), width)
        return part, rows, columns

    def _add_uniform(self, image: int, vectors: Array, rng: np.random.Generator) -> None:
        """Places drawn uniformly."""
        keep = rng.permutation(len(vectors))[: self.per_image]
        self._parts['uniform'].append((vectors[keep], np.full(len(keep), image)))

    def _add_classes(
        self, name: str, image: int, vectors: Array, label: Array, shape: tuple[int, int], rng: np.random.Generator
    ) -> None:
        """Up to the image's share of every class, drawn uniformly over its connected parts."""
        for klass in range(self.num_classes):
            members = np.flatnonzero(label == klass)
            if members.size == 0:
                continue
            weight = np.ones(members.size)
            if members.size > self.per_image:
                parts = ndimage.label((label == klass).reshape(shape), np.ones((3, 3)))[0].reshape(-1)[members]
                size = np.bincount(parts)[parts].astype(np.float64)
                drawn = rng.choice(members.size, self.per_image, replace=False, p=(1 / size) / (1 / size).sum())
                weight = size[drawn] * members.size / size[drawn].sum()
                members = members[drawn]
            self._parts[name].append(
                (vectors[members], np.full(members.size, klass), np.full(members.size, image), weight)
            )

    def _add_objects(
        self, name: str, image: int, vectors: Array, boxes: Array, labels: Array, size: tuple[int, int], width: int
    ) -> None:
        """The feature at the middle of every box."""
        height = len(vectors) // width
        x = ((boxes[:, 0] + boxes[:, 2]) / 2 / size[1] * width).astype(int).clip(0, width - 1)
        y = ((boxes[:, 1] + boxes[:, 3]) / 2 / size[0] * height).astype(int).clip(0, height - 1)
        keep = slice(0, PER_IMAGE)
        picked = vectors[(y * width + x)[keep]]
        self._parts[name].append((picked, labels[keep], np.full(len(picked), image), np.ones(len(picked))))


def drawn_outputs(
    logits: Array, label: Array | None, image: int, per_class: int, rng: np.random.Generator
) -> ClassOutputs:
    """Outputs at up to ``per_class`` drawn pixels of each true (unlabelled: predicted) class of one image.

    Args:
        logits: (K, H, W). label: (H, W) with values outside [0, K) where ignored; ``None`` = unlabelled.
    """
    classes = len(logits)
    flat = (logits.argmax(axis=0) if label is None else label).reshape(-1).astype(np.int64)
    chosen, weight = draw_pixels(flat, classes, per_class, rng)
    known = np.full(len(chosen), -1) if label is None else flat[chosen]
    scores = logits.reshape(classes, -1)[:, chosen].T.astype(np.float32)
    return ClassOutputs(scores, known, weight, np.full(len(chosen), image))


def _places(cells: Array, cells_in_all: float, pixels: int) -> Array:
    """Pixel under the middle of each cell."""
    return ((cells + 0.5) / cells_in_all * pixels).astype(int).clip(0, pixels - 1)


def match_classes(boxes: Array, scores: Array, objects: ImageObjects, num_classes: int) -> Array:
    """(n,) class of the object each box lies on (IoU >= 0.5, best score first, one box per object); K = none, -1 = on
    an ignored object."""
    found = np.full(len(boxes), num_classes, dtype=np.int64)
    if len(objects.boxes) == 0 or len(boxes) == 0:
        return found
    overlap = box_iou(boxes, objects.boxes)
    free = np.ones(len(objects.boxes), dtype=bool)
    for place in np.argsort(-scores, kind='stable'):
        best = int(np.argmax(np.where(free, overlap[place], -1.0)))
        if free[best] and overlap[place, best] >= OBJECT_IOU:
            found[place] = -1 if objects.ignored[best] else objects.labels[best]
            free[best] = bool(objects.ignored[best])
    return found


def projection(dim: int, seed: int) -> Array:
    """(dim, 256) random orthonormal columns."""
    return np.linalg.qr(np.random.default_rng(seed).normal(size=(dim, MAX_DIM)))[0].astype(np.float32)
