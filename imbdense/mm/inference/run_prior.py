"""What a finished model's training did to the class prior, and facts of its training annotations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from mmengine.runner import Runner
from numpy.typing import NDArray
from scipy import ndimage

from imbdense.core.inference.pixel_sample import EIGHT
from imbdense.core.stats import ClassCounts, PriorLedger
from imbdense.mm.class_counts import default_unit, load_class_counts
from imbdense.mm.dataset_wrappers import leaves
from imbdense.mm.datasets.label_source import is_detection
from imbdense.mm.datasets.statistics import class_counts
from imbdense.mm.drawn_windows import prior_table
from imbdense.mm.inference.finished_model import FinishedModel
from imbdense.mm.prior import build_ledger, declared_ledger, load_label, load_objects

Centres = list[NDArray[np.float64]]


@dataclass(frozen=True)
class TrainedPrior:
    """The class prior of a finished model.

    Attributes:
        ledger: what sampler, transforms and losses left. counts: of the training labels.
    """

    ledger: PriorLedger
    counts: ClassCounts

    @property
    def empty(self) -> list[str]:
        """Classes without a training sample."""
        values = self.counts.of(default_unit(self.counts))
        return [name for name, value in zip(self.counts.classes, values.tolist()) if value == 0]

    def effective_counts(self, unit: str | None = None, *, force: bool = False) -> NDArray[np.float64]:
        """(C,) the training counts, if nothing corrected them (or with ``force``); else their sum, distributed as
        the prior that the model encodes."""
        values = self.counts.of(unit or default_unit(self.counts)).astype(np.float64)
        changed = np.ptp(np.log(self.ledger.prior / np.asarray(self.ledger.entries[0].prior))) > 1e-9
        return self.ledger.prior * values.sum() if changed and not force else values


def trained_prior(finished: FinishedModel, counts_file: str | None = None) -> TrainedPrior:
    """The prior from the checkpoint (``ClassCountHook``); else from the config: its training set, sampler, transforms,
    and what the losses say they correct.

    Args:
        counts_file: ``class_counts.json`` of the training labels, where the training data are not at hand.

    Raises:
        ValueError: neither is to be had, or the counts are of other classes; the message says what to give.
    """
    config, classes = finished.config, list(finished.classes)
    stored = declared_ledger(finished.content)
    loader: Any = None
    if counts_file is not None:
        counts = load_class_counts(counts_file, '--class-counts')
    elif stored is not None:
        record = (finished.content.get('meta') or {}).get('imbdense', {}).get('class_counts')
        counts = ClassCounts.from_dict(record) if record else _train_counts(config)
    else:
        loader = train_loader(config)
        counts = class_counts(loader.dataset)
    if set(classes) - set(counts.classes):
        raise ValueError(
            f'the counts are of the classes {list(counts.classes)}, which do not fit the head: it has {classes}. Give '
            f'--class-counts of these classes (`imbdense stats CONFIG`).'
        )
    counts = counts.select(classes)
    if stored is not None and set(stored.classes) == set(classes):
        return TrainedPrior(stored, counts)
    if loader is not None:
        from imbdense.mm.hooks.class_count_hook import sampler_of  # hooks import this module

        table, dataset, drawer = prior_table(loader.dataset)
        ledger, _ = build_ledger(counts, table, dataset, sampler_of(loader), drawer=drawer)
    else:
        ledger = PriorLedger(classes, counts.of(default_unit(counts)))
    for name, module in finished.model.named_modules():
        if callable(getattr(module, 'declare_correction', None)) and 'rpn' not in name.split('.')[0]:
            module.declare_correction(ledger)
    return TrainedPrior(ledger, counts)


def train_loader(config: Any) -> Any:
    """The training data loader of a config.

    Raises:
        ValueError: there is none, or its data cannot be read.
    """
    if not config.get('train_dataloader'):
        raise ValueError('the config has no train_dataloader to count; give --class-counts class_counts.json.')
    try:
        return Runner.build_dataloader(dict(config.train_dataloader), seed=0)
    except (OSError, AssertionError) as error:
        raise ValueError(
            f'the training data of the config cannot be read ({error}); give --class-counts class_counts.json '
            f'(`imbdense stats CONFIG` writes it where the data are).'
        ) from error


def _train_counts(config: Any) -> ClassCounts:
    """Counts of the training set."""
    return class_counts(train_loader(config).dataset)


def object_centres(config: Any, num_classes: int) -> tuple[Centres, NDArray[np.int64], int]:
    """Where the objects of each class lie in the training images.

    Detection: box centres; segmentation: centroids of the 8-connected parts of equal class. Both divided by width and
    height of their image, all images over each other.

    Returns:
        (per class (n_c, 2) centres in [0, 1], (C,) images that hold it, number of images).
    """
    dataset = train_loader(config).dataset
    detection = is_detection(next(leaves(dataset)))
    found: list[list[NDArray[np.float64]]] = [[] for _ in range(num_classes)]
    images = np.zeros(num_classes, dtype=np.int64)
    for index in range(len(dataset)):
        labels, centres = _box_centres(dataset, index) if detection else _part_centres(dataset, index, num_classes)
        for label in np.unique(labels):
            found[int(label)].append(centres[labels == label])
            images[int(label)] += 1
    joined = [np.concatenate(parts) if parts else np.zeros((0, 2)) for parts in found]
    return joined, images, len(dataset)


def _box_centres(dataset: Any, index: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Labels and centres of the boxes of one image."""
    objects = load_objects(dataset, index)
    height, width = objects.shape
    centres = (objects.boxes[:, :2] + objects.boxes[:, 2:]).astype(np.float64) / 2 / np.array([width, height])
    return objects.labels, centres.clip(0.0, 1.0)


def _part_centres(dataset: Any, index: int, num_classes: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Labels and centroids of the connected parts of one image."""
    label = load_label(dataset, index)
    labels, centres = [np.zeros(0, dtype=np.int64)], [np.zeros((0, 2))]
    for klass in range(num_classes):
        parts, count = ndimage.label(label == klass, structure=EIGHT)
        if count:
            rows = np.array(ndimage.center_of_mass(parts > 0, parts, range(1, count + 1)))
            centres.append((rows[:, ::-1] + 0.5) / np.array([label.shape[1], label.shape[0]]))
            labels.append(np.full(count, klass))
    return np.concatenate(labels), np.concatenate(centres)
