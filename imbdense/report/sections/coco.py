"""COCO numbers of detectors: AP by threshold, size and group, and precision–recall curves of the rare classes."""

from __future__ import annotations

import re
from html import escape

from imbdense.benchmark.summary import mean_interval
from imbdense.report.comparison import Experiment, Interval
from imbdense.report.page import table
from imbdense.report.sections.artifacts import curve_lines
from imbdense.report.story import Story
from imbdense.report.svg import legend, number, unit_panel

KEYS = re.compile(r'(^|/)(bbox|segm)_(mAP|AR|recall@)[^/]*$')


def coco_section(story: Story) -> str:
    """Table of the overall measures and one precision–recall panel per rare class."""
    keys = dict.fromkeys(key for run in story.runs if run.last for key in run.last.scalars if KEYS.search(key))
    if not keys:
        return ''
    rows = [[escape(_words(key)), *(number(*_interval(e, key)) for e in story.experiments)] for key in keys]
    body = table(['measure, %', *map(escape, story.series)], rows)
    panels = ''.join(
        unit_panel(
            name, curve_lines(story, 'coco', name, 'pr50', 'recall', 'precision'), story.series, 'recall', 'precision'
        )
        for name in story.rare
    )
    if not panels:
        return body
    key = legend(story.series) if len(story.experiments) > 1 else ''
    return (
        f'{body}<h3>Precision and recall of the rare classes at IoU 0.5</h3>{key}<div class="panels">{panels}</div>'
        '<p class="note">First seed of each experiment.</p>'
    )


def _interval(experiment: Experiment, key: str) -> Interval:
    """Mean and interval of a key in percent; COCO numbers are fractions in every tool."""
    return mean_interval(
        [100 * run.last.scalars[key] for run in experiment.runs if run.last and key in run.last.scalars]
    )


def _words(key: str) -> str:
    """'coco/bbox_mAP_50' to 'mAP 50'."""
    return key.rsplit('/', 1)[-1].replace('bbox_', '').replace('segm_', 'mask ').replace('_', ' ')
