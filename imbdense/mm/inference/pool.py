"""Run a finished model over labelled and unlabelled images and collect what the shift measures need."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.dataset import pseudo_collate
from torch import Tensor, inference_mode, nn
from torch.utils.data import DataLoader, Dataset

from imbdense.core.inference import ImageObjects
from imbdense.mm.datasets.label_source import records_of
from imbdense.mm.inference.detection_head import find_head
from imbdense.mm.inference.finished_model import FinishedModel
from imbdense.mm.inference.layer_tap import LayerTap, whole_pictures
from imbdense.mm.inference.pixel_records import class_logits, segmentor_facts
from imbdense.mm.inference.pool_collector import PoolCollector
from imbdense.mm.inference.save_outputs import image_objects
from imbdense.mm.predictor import file_record, label_free_pipeline

Progress = Callable[[int, int], None]


class SafeImages(Dataset):
    """Prepared images of a data set or of files; one that cannot be read becomes its error message.

    Args:
        load: index -> prepared sample. indices: which. names: what each is called in messages.
    """

    def __init__(self, load: Callable[[int], Any], indices: Sequence[int], names: Sequence[str]) -> None:
        self.load, self.indices, self.names = load, list(indices), list(names)

    def __len__(self) -> int:
        """Images."""
        return len(self.indices)

    def __getitem__(self, place: int) -> tuple[int, Any]:
        """(index, sample or message)."""
        index = self.indices[place]
        try:
            sample = self.load(index)
        except Exception as error:  # one bad file must not end a long job; it is named
            text = str(error).splitlines()
            return index, f'{self.names[place]}: {type(error).__name__}: {text[0] if text else ""}'
        return index, f'{self.names[place]}: the pipeline returned nothing' if sample is None else sample


def labelled_images(finished: FinishedModel, indices: Sequence[int]) -> SafeImages:
    """Images of the data set of a finished model."""
    infos = records_of(finished.dataset)
    names = [str(infos[index].get('img_path', index)) for index in indices]
    pipeline, dataset = finished.dataset.pipeline, finished.dataset

    def load(index: int) -> Any:
        return pipeline(dataset.get_data_info(index))

    return SafeImages(load, indices, names)


def unlabelled_images(finished: FinishedModel, files: Sequence[Path]) -> SafeImages:
    """Image files, prepared as the labelled ones are, without their labels."""
    settings = finished.config[f'{finished.split}_dataloader']['dataset']
    pipeline = label_free_pipeline(settings)
    names = [str(file) for file in files]
    return SafeImages(lambda index: pipeline(file_record(files[index])), range(len(files)), names)


def collect(
    finished: FinishedModel,
    images: SafeImages,
    *,
    labelled: bool,
    layer: str | None = None,
    max_vectors: int = 20_000,
    seed: int = 0,
    workers: int = 0,
    progress: Progress | None = None,
) -> tuple[PoolCollector, list[str]]:
    """(collector, messages about images that were skipped).

    Segmentors with a sliding window see whole pictures here, so that the layer gives one map per picture.
    """
    reading = Reading.of(finished.model, int(getattr(finished.dataset, 'ignore_index', 255)))
    if reading.num_classes != len(finished.classes):
        raise ValueError(
            f'the head has {reading.num_classes} classes, but the data set has {len(finished.classes)}: '
            f'{list(finished.classes)}. Compare num_classes with metainfo.classes.'
        )
    collector = PoolCollector(reading.num_classes, len(images), max_vectors, seed)
    infos = records_of(finished.dataset) if labelled and finished.task == 'detection' else None
    skipped: list[str] = []
    with LayerTap(finished.model, layer) as tap, whole_pictures(finished.model), inference_mode():
        for number, (index, sample) in enumerate(predicted(finished.model, images, workers)):
            if isinstance(sample, str):
                skipped.append(sample)
            else:
                maps, size = tap.take()
                objects = None if infos is None else image_objects(infos[index])
                reading.add(collector, index, maps[0], size, sample, labelled, objects)
            if progress is not None:
                progress(number + 1, len(images))
    return collector, skipped


@dataclass(frozen=True)
class Reading:
    """How predicted samples of a model are read.

    Attributes:
        num_classes: K. ignore_index: of labels. facts: of the decode head; ``None`` for a detector.
    """

    num_classes: int
    ignore_index: int
    facts: dict[str, Any] | None

    @classmethod
    def of(cls, model: nn.Module, ignore_index: int = 255) -> Reading:
        """Look at the first segmentor or detector inside ``model`` (itself, or the student of a wrapper).

        Raises:
            TypeError: there is none. UnknownHeadError: a detector without a class head.
        """
        for module in model.modules():
            if getattr(module, 'decode_head', None) is not None:
                facts = segmentor_facts(module)
                return cls(facts['num_classes'], ignore_index, facts)
            if getattr(module, 'roi_head', None) is not None or getattr(module, 'bbox_head', None) is not None:
                return cls(find_head(module)[1].num_classes, ignore_index, None)
        raise TypeError(f'{type(model).__name__} holds neither a decode_head nor a bbox_head.')

    def add(
        self, collector: PoolCollector, index: int, feature: Tensor, size: tuple[int, int] | None, sample: Any,
        labelled: bool, objects: ImageObjects | None = None,
    ) -> None:  # fmt: skip
        """Hand one predicted sample to the collector.

        Args:
            feature, size: from :class:`LayerTap`. labelled: read the truth; of a detector ``objects`` is it.
        """
        seen = seen_share(sample, size)
        if self.facts is None:
            found = sample.pred_instances
            boxes = getattr(found.bboxes, 'tensor', found.bboxes).cpu().numpy().reshape(-1, 4)
            arrays = (boxes, found.labels.cpu().numpy(), found.scores.cpu().numpy())
            shape = (int(sample.ori_shape[0]), int(sample.ori_shape[1]))
            collector.add_detection(index, feature, seen, arrays, shape, objects if labelled else None)
            return
        logits = class_logits(sample.seg_logits.data, self.facts).float().cpu().numpy()
        label = None
        if labelled:
            label = sample.gt_sem_seg.data[0].long().cpu().numpy()
            label = np.where((label == self.ignore_index) | (label >= self.num_classes), -1, label)
        collector.add_segmentation(index, feature, seen, logits, label)


def seen_share(sample: Any, size: tuple[int, int] | None) -> tuple[float, float]:
    """Share of the network's input, in height and width, that shows the image; the rest is padding."""
    shape = sample.metainfo.get('img_shape')
    if size is None or shape is None:
        return 1.0, 1.0
    return min(1.0, shape[0] / size[0]), min(1.0, shape[1] / size[1])


def predicted(model: nn.Module, images: SafeImages, workers: int) -> Iterator[tuple[int, Any]]:
    """(index, predicted sample or message), one image at a time, in order."""
    for index, sample in DataLoader(images, batch_size=None, num_workers=workers, collate_fn=_as_it_is):
        if isinstance(sample, str):
            yield index, sample
        else:
            yield index, model.test_step(pseudo_collate([sample]))[0]  # type: ignore[operator]


def _as_it_is(item: Any) -> Any:
    """No collation."""
    return item
