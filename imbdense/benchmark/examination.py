"""How well the examination tells true pseudo-boxes from injected false ones, with a detector on a shifted set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from imbdense.benchmark.runs import Run

SHARE = 0.3
"""Of all boxes, the false ones."""
FLOORS = (0.05, 0.1, 0.3)
"""Scores from which a box counts as found again."""


@dataclass(frozen=True)
class Rates:
    """Shares of the true boxes that were kept and of the false ones that were rejected, and their numbers."""

    kept: float
    rejected: float
    true: int
    false: int


def examination_lines(source: Run) -> list[str]:
    """One line for each score floor, of the source detector on the target's training images."""
    lines = []
    for floor in FLOORS:
        rates = examination_rates(source, floor)
        lines.append(
            f'examination, seed {source.seed}, score >= {floor}: {rates.kept:.2f} of {rates.true} true boxes kept, '
            f'{rates.rejected:.2f} of {rates.false} false ones rejected'
        )
    return lines


def examination_rates(source: Run, floor: float, images: int = 100) -> Rates:
    """Give the detector true boxes (moved by 3 % of their size) and 30 % background crops of any class, and examine."""
    from mmengine.config import Config
    from mmengine.registry import DATASETS, MODELS, init_default_scope
    from mmengine.runner import load_checkpoint

    from imbdense.mm.datasets.label_source import records_of
    from imbdense.mm.pseudo_label.live import LiveModel
    from imbdense.mm.pseudo_label.redb_data import labelled_hosts, unlabelled_images
    from imbdense.mm.pseudo_label.redb_records import examined_record

    config = Config.fromfile(str(source.folder / 'config.py'))
    init_default_scope(config.default_scope)
    model = MODELS.build(config.model)
    load_checkpoint(model, str(source.checkpoint()), map_location='cpu')
    dataset = DATASETS.build(config.train_dataloader.dataset)
    live, hosts = LiveModel(model, config, dataset.metainfo['classes']), list(labelled_hosts(dataset))
    truth = {str(info['img_path']): info['instances'] for info in records_of(dataset.unlabeled)}
    rng, genuine, accepted = np.random.default_rng(source.seed), [], []
    with live.evaluating():
        for image in unlabelled_images(dataset)[:images]:
            objects = truth[str(image.path)]
            boxes, labels, real = with_false_boxes(
                rng, np.array([item['bbox'] for item in objects], np.float64),
                np.array([item['bbox_label'] for item in objects]), len(live.classes),
            )  # fmt: skip
            record = {'boxes': boxes.astype(np.float32), 'labels': labels}
            everything = np.ones(len(boxes), bool)
            accepted.append(examined_record(live, image, record, everything, hosts, 0.5, floor)['accepted'])
            genuine.append(real)
    real, kept = np.concatenate(genuine), np.concatenate(accepted)
    return Rates(float(kept[real].mean()), float(1 - kept[~real].mean()), int(real.sum()), int((~real).sum()))


def with_false_boxes(
    rng: np.random.Generator, true: NDArray[np.float64], labels: NDArray[np.int64], classes: int, size: int = 128
) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.bool_]]:
    """True boxes, a little moved, then false ones of their sizes that overlap none; and which are true."""
    from imbdense.core.overlaps import box_iou

    sides = np.tile(true[:, 2:] - true[:, :2], 2)
    boxes = list(true + 0.03 * sides * rng.normal(size=true.shape))
    wanted = int(rng.binomial(len(true), SHARE / (1 - SHARE)))
    while len(boxes) < len(true) + wanted:
        half = sides[rng.integers(len(true)), :2] / 2
        centre = rng.uniform(half, size - half)
        box = np.concatenate([centre - half, centre + half])
        if box_iou(box[None], true).max() < 0.1:
            boxes.append(box)
    own: Sequence[int] = [*labels.tolist(), *rng.integers(classes, size=wanted).tolist()]
    return np.array(boxes), np.array(own), np.arange(len(boxes)) < len(true)
