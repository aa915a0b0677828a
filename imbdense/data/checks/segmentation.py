"""Checks of a segmentation split."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from imbdense.data.checks.images import image_findings, size_finding
from imbdense.data.checks.splits import SegmentationSplit
from imbdense.data.finding import Finding
from imbdense.data.readers.errors import LabelReadError
from imbdense.data.readers.labels import INVALID, read_indices
from imbdense.data.scan.result import ScanResult

SAMPLE = 48
"""Labels whose stored values are looked at for the shift checks."""
MOSTLY = 0.5


def segmentation_findings(
    split: SegmentationSplit, *, workers: int | None = None, progress: Callable[[str], None] = lambda text: None
) -> list[Finding]:
    """Everything that is wrong with the labels and images of one split, errors first inside each rule."""
    progress(f'{split.name}: counting {len(split.labels)} labels')
    labels = [label for label in split.labels if label]
    found = list(split.findings)
    if not labels:
        return [*found, Finding('error', 'no_labels', '', 'the split has no labels.', 'Check data_prefix.', split.name)]
    result = split.scan(workers=workers, progress=True)
    found += result.findings
    found += _lossy(labels) + empty_labels(result) + _shifted(split, result) + class_findings(result)
    progress(f'{split.name}: looking at {len(split.images)} images')
    found += _pairs(split, result)
    return [replace(finding, split=split.name) for finding in found]


def _pairs(split: SegmentationSplit, result: ScanResult) -> list[Finding]:
    """Image there and whole, of the size of its label."""
    found: list[Finding] = []
    shapes = {
        os.path.join(result.root, path): (int(height), int(width))
        for path, (height, width) in zip(result.records.paths, result.records.shapes.tolist())
        if height
    }
    for image, label in zip(split.images, split.labels):
        size, faults = image_findings(image)
        found += faults
        expected = shapes.get(os.path.abspath(label)) if label else None
        if size is not None and expected is not None:
            found += size_finding(image, size, label, expected)
    return found


def _lossy(labels: list[str]) -> list[Finding]:
    """JPEG changes values."""
    return [
        Finding('error', 'lossy_label', label, 'is a JPEG: its values are not exact.', 'Save labels as PNG or TIFF.')
        for label in labels
        if label.lower().endswith(('.jpg', '.jpeg'))
    ]


def empty_labels(result: ScanResult) -> list[Finding]:
    """Labels without any class pixel."""
    readable = result.records.shapes[:, 0] > 0
    empty = result.table.empty_images
    broken = set(np.flatnonzero(np.diff(result.records.invalid_ptr)).tolist())
    return [
        Finding(
            'warning',
            'empty_label',
            os.path.join(result.root, result.records.paths[row]),
            'holds ignored pixels only.',
            'Leave it out: nothing can be learned from it, and its loss is zero.',
        )
        for row in empty.tolist()
        if readable[row] and row not in broken
    ]


def class_findings(result: ScanResult) -> list[Finding]:
    """Absent classes and much ignored area, for the split as a whole."""
    counts, pixels = result.counts, result.counts.of('pixels')
    found = []
    absent = [name for name, value in zip(counts.classes, pixels.tolist()) if value == 0]
    if absent and pixels.sum():
        found.append(
            Finding(
                'warning',
                'absent_class',
                '',
                f'no label holds {absent}.',
                'Check the class list and its order; an absent class has no score and no weight.',
            )
        )
    total = int(pixels.sum()) + counts.ignored_pixels
    if total and counts.ignored_pixels > MOSTLY * total:
        found.append(
            Finding(
                'warning',
                'mostly_ignored',
                '',
                f'{100 * counts.ignored_pixels / total:.0f} % of all pixels are ignored.',
                'Check ignore_index, reduce_zero_label and label_map.',
            )
        )
    return found


def _shifted(split: SegmentationSplit, result: ScanResult) -> list[Finding]:
    """Signs that reduce_zero_label is set wrongly, from the stored values of a sample and the counts of all files."""
    label_format = split.label_format
    classes = len(label_format.classes)
    stored = _stored_values(split)
    if stored is None or label_format.label_map:
        return []
    invalid = set(result.records.invalid_value.tolist())
    last_absent = result.table.image_counts[-1] == 0
    if not label_format.reduce_zero_label and classes in invalid and not {v for v in invalid if v > classes}:
        return [
            Finding(
                'error',
                'reduce_zero_label',
                '',
                f'the value {classes} occurs, one more than the last of {classes} classes.',
                'Set reduce_zero_label=True if 0 is background in these files; else the class list is too short.',
            )
        ]
    if label_format.reduce_zero_label and not stored[0]:
        return [
            Finding(
                'warning',
                'reduce_zero_label',
                '',
                f'reduce_zero_label=True, but none of {SAMPLE} sampled labels holds 0.',
                'Without a background value 0 nothing is gained; make sure that 1 really is the first class.',
            )
        ]
    if label_format.reduce_zero_label and last_absent and not stored[classes]:
        return [
            Finding(
                'error',
                'reduce_zero_label',
                '',
                f'reduce_zero_label=True ignores the value 0 (is it {label_format.classes[0]!r}?), and the last '
                f'class {label_format.classes[-1]!r} never occurs: the labels seem to begin with 0 already.',
                'Set reduce_zero_label=False.',
            )
        ]
    return []


def _stored_values(split: SegmentationSplit) -> np.ndarray | None:
    """(256,) bool: which stored values occur in an even sample of the labels; None when none can be read."""
    labels = [label for label in split.labels if label]
    seen = np.zeros(256, bool)
    readable = 0
    for label in labels[:: max(1, len(labels) // SAMPLE)][:SAMPLE]:
        try:
            values = np.unique(read_indices(label, split.label_format))
        except LabelReadError:
            continue
        readable += 1
        seen[values[(values >= 0) & (values < INVALID)].astype(np.int64)] = True
    return seen if readable else None
