"""Checks of a split of image pairs, beside those of its change maps as labels of the first date."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import numpy as np

from imbdense.data.change.summary import RARE_PAIRS
from imbdense.data.change.transitions import CONTRADICTED, ONE_DATE, SAME, TransitionCounts
from imbdense.data.checks.images import image_findings, same_content, size_finding
from imbdense.data.checks.pair_rasters import pair_raster_findings
from imbdense.data.checks.segmentation import segmentation_findings
from imbdense.data.checks.splits import ChangeSplit, SegmentationSplit
from imbdense.data.finding import Finding
from imbdense.data.readers.errors import LabelReadError
from imbdense.data.scan.result import ScanResult

UNIMPORTANT = ('empty_label', 'mostly_ignored', 'absent_class')
"""Findings about the land cover of one date that are natural: it may be known inside changes only, and a class may
stand at the other date alone."""


def change_findings(split: ChangeSplit, *, workers: int | None = None) -> list[Finding]:
    """What is wrong between the dates and labels of one split: sizes, values, contradictions, rare change."""
    labels = [label for label in split.labels if label]
    found = _date_findings(split) + _land_cover_findings(split, workers)
    if labels:
        found += _change_map_findings(split, split.scan(workers=workers))
    try:
        transitions = split.transitions(workers=workers)
    except (LabelReadError, ValueError):
        transitions = None  # the broken file is named already
    if transitions is not None:
        found += _contradictions(split, transitions)
    return [replace(finding, split=split.name) for finding in found]


def _date_findings(split: ChangeSplit) -> list[Finding]:
    """The images of later dates: whole, of the size of the first, no copies of an earlier one; rasters on one grid."""
    found = []
    for pair in split.pairs:
        first, _ = image_findings(pair.images[0])
        for image in pair.images[1:]:
            size, faults = image_findings(image)
            found += faults
            if size is not None and first is not None:
                found += size_finding(image, size, pair.images[0], first)
        found += pair_raster_findings(pair)
        for earlier, later in combinations(pair.images, 2):
            if same_content(earlier, later):
                found.append(
                    Finding(
                        'warning', 'same_dates', later, f'is a copy of {earlier}, the other date of its pair.',
                        'Get the image of this date; if it is meant (a pair without change), nothing is to be done.',
                    )
                )
    return found


def _land_cover_findings(split: ChangeSplit, workers: int | None) -> list[Finding]:
    """The land-cover maps of every date as labels of its images."""
    if split.land_cover_format is None or not split.pairs or not split.pairs[0].land_cover:
        return []
    found = []
    pixels = np.zeros(len(split.land_cover_format.classes), np.int64)
    for date in range(len(split.pairs[0].images)):
        part = SegmentationSplit(
            split.name,
            tuple(pair.images[date] for pair in split.pairs),
            tuple(pair.land_cover[date] for pair in split.pairs),
            split.land_cover_format,
            cache_name=split.cache_name,
        )
        told = [item for item in segmentation_findings(part, workers=workers) if item.code not in UNIMPORTANT]
        found += [item if item.file else replace(item, message=f'land cover of date {date + 1}: {item.message}')
                  for item in told]
        pixels += part.scan(workers=workers).counts.of('pixels')
    absent = [name for name, count in zip(split.land_cover_format.classes, pixels.tolist()) if not count]
    if absent and pixels.any():
        found.append(
            Finding(
                'warning', 'absent_class', '', f'no land-cover map of any date holds {absent}.',
                'Check land_cover and its order; an absent class has no score and no weight.',
            )
        )
    return found


def _change_map_findings(split: ChangeSplit, result: ScanResult) -> list[Finding]:
    """255 that means "changed", and few pairs with change."""
    pixels, images = result.counts.of('pixels'), len(result.table)
    if len(pixels) == 2 and pixels[1] == 0 and pixels[0] and result.counts.ignored_pixels:
        return [
            Finding(
                'error', 'change_255', '', 'no pixel is 1, but some are 255, which is ignored.',
                "If 255 is \"changed\" in these masks, set format_seg_map='to_binary' in the data set.",
            )
        ]
    with_change = int(np.unique(result.table.entry_images[result.table.classes > 0]).size)
    if 0 < with_change < RARE_PAIRS * images:
        return [
            Finding(
                'note', 'few_pairs_with_change', '', f'{with_change} of {images} pairs hold any change.',
                "Draw them more often: sampler=dict(type='imbdense.BalancedClassSampler') gives them half the draws.",
            )
        ]
    return []


def _contradictions(split: ChangeSplit, transitions: TransitionCounts) -> list[Finding]:
    """Change maps against the land covers."""
    found = []
    for number, pixels in enumerate(transitions.pixels_of(CONTRADICTED).tolist()):
        if pixels:
            pair = split.pairs[number]
            found.append(
                Finding(
                    'warning', 'change_contradicts_land_cover', str(pair.change),
                    f'is unchanged in {pixels} pixels where {pair.land_cover[0]} and {pair.land_cover[-1]} differ.',
                    'Make the change map from the land covers, or set such pixels to 255.',
                )
            )
    one_date = transitions.pixels_of(ONE_DATE)
    if one_date.any():
        names = ', '.join(str(split.pairs[row].change) for row in np.flatnonzero(one_date)[:3])
        found.append(
            Finding(
                'warning', 'one_date_only', '',
                f'{int(one_date.sum())} changed pixels in {np.count_nonzero(one_date)} pairs have a land cover at one '
                f'date only, e.g. in {names}.',
                'Fine where a label is missing; where land cover is labelled inside changes only, the maps disagree.',
            )
        )
    same = transitions.pixels_of(SAME)
    if same.any():
        example = split.pairs[int(same.argmax())]
        found.append(
            Finding(
                'note', 'change_within_land_cover', '',
                f'{int(same.sum())} changed pixels have the same land cover at both dates, e.g. in {example.change}.',
                'Fine where something was rebuilt; the score of semantic change counts them as their class.',
            )
        )
    return found
