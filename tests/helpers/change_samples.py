"""Random pairs of a change-detection evaluation, and the slow, obvious way to count them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

UNKNOWN = 255


def change_samples(
    number: int, classes: int = 4, *, full: bool = False, dead: bool = False, ignored: bool = False, side: int = 16,
    seed: int = 0,
) -> list[dict[str, Any]]:
    """Samples of land cover 0 ... classes - 1 at two dates, rarer with a higher index; int64 maps (1, H, W).

    full: land cover is labelled everywhere, else inside changes only. dead: predictions hold 255 here and there.
    ignored: labels of change and of land cover hold 255 here and there.
    """
    rng = np.random.default_rng(seed)
    share = 0.5 ** np.arange(classes)
    samples = []
    for index in range(number):
        shape = (side, side + 3)

        def draw(shape: tuple[int, int] = shape) -> np.ndarray:
            return rng.choice(classes, shape, p=share / share.sum())

        def altered(maps: np.ndarray, amount: float, shape: tuple[int, int] = shape) -> np.ndarray:
            return np.where(rng.random(shape) < amount, rng.integers(0, classes, shape), maps)

        first = draw()
        second = altered(first, 0.3)
        change = (first != second).astype(np.int64)
        pred = [altered(first, 0.2), altered(second, 0.2)]
        said = np.where(rng.random(shape) < 0.15, 1 - change, change)
        truth = [first, second] if full else [np.where(change == 1, maps, UNKNOWN) for maps in (first, second)]
        if dead:
            pred = [np.where(rng.random(shape) < 0.1, UNKNOWN, maps) for maps in pred]
        if ignored:
            change = np.where(rng.random(shape) < 0.1, UNKNOWN, change)
            truth = [np.where(rng.random(shape) < 0.1, UNKNOWN, maps) for maps in truth]
        samples.append(make_sample(f'/data/{index}.png', said, *pred, change, *truth))
    return samples


def make_sample(place: str, *maps: np.ndarray) -> dict[str, Any]:
    """A sample of: predicted change, land cover of both dates; labelled change, land cover of both dates."""
    keys = [f'{side}_sem_{field}' for side in ('pred', 'gt') for field in ('seg', 't1', 't2')]
    return {'img_path': place} | {
        key: {'data': torch.from_numpy(np.asarray(values, dtype=np.int64))[None]} for key, values in zip(keys, maps)
    }


def perfect(samples: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The same samples with the labels as predictions."""
    return [
        {key: value for key, value in sample.items() if not key.startswith('pred_')}
        | {key.replace('gt_', 'pred_'): {'data': value['data'].clone()}
           for key, value in sample.items() if key.startswith('gt_')}
        for sample in samples
    ]  # fmt: skip


def slow_tables(samples: Sequence[Mapping[str, Any]], classes: int) -> dict[str, np.ndarray]:
    """``sem``, ``from_to``, ``bcd`` counted pixel by pixel, rows = prediction."""
    sem = np.zeros((classes + 1, classes + 1), dtype=np.int64)
    from_to = np.zeros((1 + classes**2, 1 + classes**2), dtype=np.int64)
    bcd = np.zeros((2, 2), dtype=np.int64)
    for sample in samples:
        keys = [f'{side}_sem_{field}' for side in ('pred', 'gt') for field in ('seg', 't1', 't2')]
        for pc, p1, p2, gc, g1, g2 in zip(*(sample[key]['data'].ravel().tolist() for key in keys)):
            if gc == UNKNOWN:
                continue
            bcd[pc, gc] += 1
            for p, g in ((p1, g1), (p2, g2)):
                if gc == 0 or g != UNKNOWN:
                    said = p + 1 if pc and p != UNKNOWN else 0
                    sem[said, g + 1 if gc else 0] += 1
            if gc == 0 or UNKNOWN not in (g1, g2):
                said = classes * p1 + p2 + 1 if pc and UNKNOWN not in (p1, p2) else 0
                from_to[said, classes * g1 + g2 + 1 if gc else 0] += 1
    return {'sem': sem, 'from_to': from_to, 'bcd': bcd}


def evaluate(
    config: Mapping[str, Any], samples: Sequence[Any], classes: int | Sequence[str] = 4, batch: int = 3
) -> tuple[dict[str, float], Any]:
    """Build the metric, feed the samples, evaluate; return (scalars, metric)."""
    metric = build(config, classes)
    for start in range(0, len(samples), batch):
        metric.process(None, samples[start : start + batch])
    return metric.evaluate(len(samples)), metric


def build(config: Mapping[str, Any], classes: int | Sequence[str] = 4) -> Any:
    """The metric with the names of land cover."""
    from imbdense.registry import METRICS  # here, for the core is tested where there is no host

    metric = METRICS.build(dict(config))
    names = [f'class{index}' for index in range(classes)] if isinstance(classes, int) else list(classes)
    metric.dataset_meta = {'classes': ('unchanged', 'changed'), 'land_cover': names}
    return metric
