"""Checks of a detection split."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from imbdense.data.checks.images import image_findings, size_finding
from imbdense.data.checks.splits import DetectionSplit
from imbdense.data.finding import Finding

TINY = 16.0
"""Area in pixels below which a detector with stride 8 hardly has a feature."""


def detection_findings(split: DetectionSplit, *, progress: Callable[[str], None] = lambda text: None) -> list[Finding]:
    """Everything that is wrong with the annotations and images of one split."""
    progress(f'{split.name}: looking at {len(split.images)} images')
    found = list(split.findings) + object_findings(split) + _tiny_objects(split)
    for image, expected in zip(split.images, split.sizes):
        size, faults = image_findings(image)
        found += faults
        if size is not None and all(expected):
            found += size_finding(image, size, split.source, expected)
    return [replace(finding, split=split.name) for finding in found]


def object_findings(split: DetectionSplit) -> list[Finding]:
    """Empty split, empty images, absent classes."""
    table = split.records.table(len(split.classes))
    if table.totals.sum() == 0:
        return [
            Finding(
                'error',
                'empty',
                split.source,
                f'has {len(split.images)} images but no object of {list(split.classes)}.',
                'Check the class names (they must be spelled as in the file) and the export.',
            )
        ]
    found = []
    absent = [name for name, value in zip(split.classes, table.totals.tolist()) if value == 0]
    if absent:
        found.append(
            Finding(
                'warning',
                'absent_class',
                split.source,
                f'has no object of {absent}.',
                'Check the class list; such a class cannot be learned or scored here.',
            )
        )
    if table.empty_images.size:
        example = split.images[int(table.empty_images[0])]
        found.append(
            Finding(
                'note',
                'empty_image',
                split.source,
                f'has {table.empty_images.size} images without an object, e.g. {example}.',
                'Fine as background; filter_empty leaves them out.',
            )
        )
    return found


def _tiny_objects(split: DetectionSplit) -> list[Finding]:
    """Objects of a few pixels."""
    tiny = split.records.area < TINY
    if not tiny.any():
        return []
    kinds = np.bincount(split.records.klass[tiny], minlength=len(split.classes))
    worst = {split.classes[index]: int(kinds[index]) for index in np.argsort(-kinds)[:3] if kinds[index]}
    return [Finding(
        'note', 'tiny_object', split.source, f'has {int(tiny.sum())} objects below {TINY:.0f} px: {worst}.',
        'Train on larger inputs or tiles, or leave them out.',
    )]  # fmt: skip
