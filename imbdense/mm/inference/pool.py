"""Run a finished model over labelled and unlabelled images and collect what the shift measures need."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.dataset import pseudo_collate
from torch import inference_mode
from torch.utils.data import DataLoader, Dataset

from imbdense.mm.datasets.statistics import records_of
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
    classes = len(finished.classes)
    collector = PoolCollector(classes, len(images), max_vectors, seed)
    skipped: list[str] = []
    with LayerTap(finished.model, layer) as tap, whole_pictures(finished.model), inference_mode():
        infos = records_of(finished.dataset) if labelled else None
        for number, (index, sample) in enumerate(_outputs(finished, images, workers)):
            if isinstance(sample, str):
                skipped.append(sample)
            else:
                maps, size = tap.take()
                add_image(
                    collector, finished, index, maps[0], size, sample, None if infos is None else infos[index], labelled
                )
            if progress is not None:
                progress(number + 1, len(images))
    return collector, skipped


def add_image(
    collector: PoolCollector, finished: FinishedModel, index: int, feature: Any, size: tuple[int, int] | None,
    sample: Any, info: dict[str, Any] | None, labelled: bool,
) -> None:  # fmt: skip
    """Hand one predicted sample of the host to the collector."""
    seen = seen_share(sample, size)
    if 'seg_logits' in sample:
        facts = segmentor_facts(finished.model)
        logits = class_logits(sample.seg_logits.data, facts).float().cpu().numpy()
        label = None
        if labelled:
            label = sample.gt_sem_seg.data[0].long().cpu().numpy()
            ignored = label == int(getattr(finished.dataset, 'ignore_index', 255))
            label = np.where(ignored | (label >= len(finished.classes)), -1, label)
        collector.add_segmentation(index, feature, seen, logits, label)
        return
    found = sample.pred_instances
    boxes = getattr(found.bboxes, 'tensor', found.bboxes).cpu().numpy().reshape(-1, 4)
    arrays = (boxes, found.labels.cpu().numpy(), found.scores.cpu().numpy())
    collector.add_detection(
        index, feature, seen, arrays, tuple(sample.ori_shape[:2]), image_objects(info) if info is not None else None
    )


def seen_share(sample: Any, size: tuple[int, int] | None) -> tuple[float, float]:
    """Share of the network's input, in height and width, that shows the image; the rest is padding."""
    shape = sample.metainfo.get('img_shape')
    if size is None or shape is None:
        return 1.0, 1.0
    return min(1.0, shape[0] / size[0]), min(1.0, shape[1] / size[1])


def _outputs(finished: FinishedModel, images: SafeImages, workers: int) -> Iterator[tuple[int, Any]]:
    """(index, predicted sample or message), one image at a time."""
    for index, sample in DataLoader(images, batch_size=None, num_workers=workers, collate_fn=_as_it_is):
        if isinstance(sample, str):
            yield index, sample
        else:
            yield index, finished.model.test_step(pseudo_collate([sample]))[0]


def _as_it_is(item: Any) -> Any:
    """No collation."""
    return item
