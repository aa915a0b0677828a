"""Run a model over images once and write the features of their objects."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from imbdense.data.object_pool import PoolImage, PoolWriter
from imbdense.mm.inference.layer_tap import LayerTap, whole_pictures
from imbdense.mm.inference.pool import SafeImages, predicted, seen_share
from imbdense.mm.object_pool.images import PoolImages
from imbdense.mm.object_pool.objects import FoundObject, Source, image_size, of_classes
from imbdense.mm.predictor import Predictor, file_record
from imbdense.nn.masked_pool import MaskedPool

Progress = Callable[[int, int], None]
Take = Callable[[int, PoolImage | str], None]
"""(number of the image, its objects or the reason why it cannot be used)."""


@dataclass(frozen=True)
class ImageFacts:
    """What is known of the images besides their objects.

    Attributes:
        cost: (M,) minutes to label each. group: (M,) scene of each.
    """

    cost: Sequence[float]
    group: Sequence[int]


class ObjectExtractor:
    """The objects of images with their features, by one model in evaluation mode without gradient.

    The feature of an object is the mean of the map of ``layer`` over it (:class:`imbdense.nn.masked_pool.MaskedPool`),
    that of the image the mean over the part of the map that shows it. Segmentors with a sliding window see whole
    images. What an image gives depends on nothing but the image: any process may do any of them.

    Args:
        classes: class index of the source -> class index of the pool; objects of other classes are left out.
        layer: default the last map of the backbone; see :class:`~imbdense.mm.inference.layer_tap.LayerTap`.
        amp: run the model in half precision (bfloat16 on a CPU); features are averaged in float32.
    """

    def __init__(
        self,
        images: PoolImages,
        predictor: Predictor,
        source: Source,
        *,
        classes: Mapping[int, int],
        facts: ImageFacts,
        layer: str | None = None,
        amp: bool = False,
    ) -> None:
        self.images, self.predictor, self.source = images, predictor, source
        self.classes, self.facts, self.layer, self.amp = classes, facts, layer, amp

    def __call__(self, numbers: Sequence[int], take: Take, workers: int = 0) -> None:
        """Hand each of the images ``numbers`` to ``take``, in this order; of one that cannot be read the reason.

        Whatever else goes wrong is raised.

        Args:
            workers: processes that load images.

        Raises:
            ValueError: no such layer, labels that do not fit their image, a test pipeline that flips.
        """
        files, pipeline, model = self.images.files, self.predictor.pipeline, self.predictor.model
        prepared = SafeImages(lambda index: pipeline(file_record(files[index])), numbers,
                              [self.images.ids[index] for index in numbers])  # fmt: skip
        precision = torch.autocast(torch.device(self.predictor.device).type, enabled=self.amp)
        with LayerTap(model, self.layer) as tap, whole_pictures(model), torch.inference_mode(), precision:
            for index, sample in predicted(model, prepared, workers):
                if isinstance(sample, str):
                    take(index, sample)
                    continue
                maps, size = tap.take()
                objects = of_classes(self.source(index, sample), self.classes)
                feat, img_feat = object_features(maps[0], objects, sample, size)
                take(index, PoolImage(
                    np.array([item.klass for item in objects], np.int32), np.array([item.score for item in objects]),
                    np.array([item.box for item in objects]).reshape(-1, 4), np.array([item.area for item in objects]),
                    feat, img_feat, float(self.facts.cost[index]), int(self.facts.group[index]),
                ))  # fmt: skip


def build_pool(
    writer: PoolWriter, extract: ObjectExtractor, *, workers: int = 0, progress: Progress | None = None
) -> None:
    """Add the images that ``writer`` still misses; it is left open to
    :meth:`~imbdense.data.object_pool.PoolWriter.finish`.

    An image that cannot be read is recorded as failed; whatever else goes wrong ends the run, which goes on with the
    next call.

    Args:
        workers: processes that load images.
        progress: called with (images done, images to do) by this rank.

    Raises:
        ValueError: see :class:`ObjectExtractor`. FileWriteError: the disk.
    """
    todo = writer.missing()
    done = 0

    def take(index: int, content: PoolImage | str) -> None:
        nonlocal done
        writer.put(index, content)
        done += 1
        if progress is not None:
            progress(done, len(todo))

    with writer:
        extract(todo, take, workers)


def object_features(
    feature: Tensor, objects: Sequence[FoundObject], sample: Any, size: tuple[int, int] | None
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """((n, D) of the objects, (D,) of the image) out of a map (D, h, w).

    Args:
        sample: of the host, whose facts say how the image lies in the network's input of ``size``.
    """
    if sample.metainfo.get('flip'):
        raise ValueError('the test pipeline flips images; remove this step: objects must lie where the map shows them.')
    pool = MaskedPool(image_size(sample), feature.shape[1:], seen_share(sample, size))
    weights = [pool.seen_weights()]
    for item in objects:
        weights.append(pool.box_weights(item.box) if item.window is None else
                       pool.mask_weights(torch.from_numpy(item.window.mask), item.window.top, item.window.left))
    means = pool(feature, torch.stack(weights)).cpu().numpy()
    return means[1:], means[0]
