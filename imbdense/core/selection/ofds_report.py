"""What OFDS did, class by class, as plain data."""

from __future__ import annotations

from typing import Any

import numpy as np

from imbdense.core.selection.object_pool import ObjectPool
from imbdense.core.selection.ofds_rounds import ClassRounds
from imbdense.core.selection.trusted import TrustedObjects

TOP_IMAGES = 20


def report(pool: ObjectPool, trusted: TrustedObjects, rounds: ClassRounds) -> dict[str, Any]:
    """Per class: objects after each filter, threshold, quota, images added, K; missing classes; the busiest images.

    ``quota``, ``clusters``, ``covered_objects`` and ``covered_clusters`` are those of the first pass of a class
    (``clusters`` is ``None`` where every image of the class was taken), ``added`` is the sum of all passes, which are
    under ``passes``. ``quota_hits`` of an image: of how many classes it holds a trusted object, so how many quotas it
    helps to fill.
    """
    first: dict[str, dict[str, Any]] = {}
    added: dict[str, int] = {}
    for record in rounds.passes:
        first.setdefault(record['class'], record)
        added[record['class']] = added.get(record['class'], 0) + record['added']
    keys = ('quota', 'clusters', 'covered_objects', 'covered_clusters')
    classes = [
        {
            'class': name,
            **{step: int(counts[klass]) for step, counts in trusted.filters.items()},
            'rescued': int(trusted.rescued[klass]),
            'threshold': round(float(trusted.thresholds[klass]), 4),
            **{key: first.get(name, {}).get(key) for key in keys},
            'added': added.get(name, 0),
        }
        for klass, name in enumerate(pool.classes)
    ]
    return {
        'classes': classes,
        'missing_classes': [name for name, count in zip(pool.classes, trusted.counts) if count == 0],
        'passes': rounds.passes,
        'top_images': _top_images(pool, trusted, rounds),
        'dropped_features': trusted.dropped_features,
    }


def _top_images(pool: ObjectPool, trusted: TrustedObjects, rounds: ClassRounds) -> list[dict[str, Any]]:
    """The chosen images that hold trusted objects of the most classes, ties in order of choice."""
    pairs = np.unique(np.stack([pool.obj_image[trusted.rows], pool.obj_class[trusted.rows]], axis=1), axis=0)
    hits = np.bincount(pairs[:, 0], minlength=pool.num_images)
    chosen = np.array([choice.image for choice in rounds.choices], dtype=np.int64)
    best = chosen[np.argsort(-hits[chosen], kind='stable')[:TOP_IMAGES]]
    return [{'image': pool.image_ids[image], 'quota_hits': int(hits[image])} for image in best]
