"""What happened to the rare classes: the first thing a reader sees."""

from __future__ import annotations

import math
from html import escape

from imbdense.report.comparison import (
    Experiment,
    class_interval,
    group_interval,
    mean_of,
    paired_class,
    paired_group,
    paired_mean,
)
from imbdense.report.measures import class_value
from imbdense.report.page import swatch, table
from imbdense.report.story import Story
from imbdense.report.svg import number

DRAWN_SEED = 100_000
"""Seeds from here on were drawn by the runner, because the config had none; they say nothing to a reader."""
RARE_COLUMNS = 3
"""With more rare classes the table would not fit; they are on the cards."""


def headline(story: Story) -> str:
    """Sentence, one card per rare class, and the table of experiments."""
    if not any(run.evaluations for run in story.runs):
        return '<p class="lead">No evaluation has finished yet; the training loss is below.</p>'
    cards = ''.join(_card(story, name) for name in story.rare)
    hint = '' if story.rare else _why_no_rare(story)
    return f'<p class="lead">{_sentence(story)}</p>{hint}<div class="cards">{cards}</div>{_experiment_table(story)}'


def _sentence(story: Story) -> str:
    """Which classes are rare, and what the best experiment did to them and to the mean."""
    parts = []
    if story.rare:
        share = sum(story.share(name) or 0 for name in story.rare)
        count = 'rarest class holds' if len(story.rare) == 1 else f'{len(story.rare)} rarest classes hold'
        parts.append(f'The {count} <b>{_percent(share)} of the {story.unit}</b> of the training labels.')
    measure = story.scale.measure
    whose = 'their' if len(story.rare) > 1 else 'its'
    if story.best is not None and story.rare:
        gain = paired_group(story.best, story.baseline, story.scale, story.rare)
        mean = paired_mean(story.best, story.baseline, story.scale)
        parts.append(
            f'<b>{escape(story.best.name)}</b> changes {whose} {measure} by {_delta(gain)} points against '
            f'{escape(story.baseline.name)}, and the mean over all classes by {_delta(mean)}.'
        )
    elif story.rare:
        value = group_interval(story.baseline, story.scale, story.rare)
        overall = mean_of(story.baseline, story.scale)
        parts.append(
            f'{whose.capitalize()} {measure} is <b>{number(*value)} %</b>, '
            f'the mean over all classes {number(*overall)} %.'
        )
    return ' '.join(parts) or f'Results of {len(story.runs)} runs.'


def _card(story: Story, name: str) -> str:
    """Before → after of one rare class."""
    share = story.share(name)
    after = class_interval(story.best or story.baseline, story.scale, name)
    before = class_interval(story.baseline, story.scale, name) if story.best else (_first_value(story, name), math.nan)
    delta = (
        paired_class(story.best, story.baseline, story.scale, name) if story.best else (after[0] - before[0], math.nan)
    )
    meter = ''.join(
        f'<i class="{css}" style="width:{min(max(value, 0), 100):.1f}%"></i>'
        for value, css in sorted([(before[0], 's0'), (after[0], 's1')], reverse=True)
        if not math.isnan(value)
    )
    change = ''
    if math.isnan(after[0]):
        big = '<small>absent from the evaluated set</small>'
    elif math.isnan(before[0]):
        big = f'{after[0]:.1f} <small>{story.scale.measure}</small>'
    else:
        big = f'{before[0]:.1f} → {after[0]:.1f} <small>{story.scale.measure}</small>'
        change = f'<div class="delta">{_delta(delta)} points</div>'
    what = '' if story.best else ' · first → last evaluation' if not math.isnan(before[0]) else ''
    return (
        f'<div class="card"><span class="name">{swatch(story.colours[name])}{escape(name)}</span>'
        f'<div class="share">{_percent(share)} of {story.unit}{what}</div>'
        f'<div class="big">{big}</div>{change}<div class="meter">{meter}</div></div>'
    )


def _experiment_table(story: Story) -> str:
    """One line per experiment: seeds, mean, groups, rare classes, differences to the baseline."""
    scale = story.scale
    several = len(story.experiments) > 1
    mean_name = (scale.mean_key or f'm{scale.measure}').rsplit('/', 1)[-1]
    rare = story.rare if len(story.rare) <= RARE_COLUMNS else []
    changes = [f'Δ {mean_name}', 'Δ rare'] if several else []
    header = ['experiment', 'seeds', mean_name, *changes, *map(escape, [*story.groups, *rare])]
    rows = []
    for place, experiment in enumerate(story.experiments):
        row = [
            f'<i class="dot s{place % 8}"></i>{escape(experiment.name)}',
            _seeds(experiment),
            number(*mean_of(experiment, scale)),
        ]
        if several and place:
            row += [
                _delta(paired_mean(experiment, story.baseline, scale)),
                _delta(paired_group(experiment, story.baseline, scale, story.rare)),
            ]
        elif several:
            row += ['baseline', 'baseline']
        row += [number(*group_interval(experiment, scale, members)) for members in story.groups.values()]
        row += [number(*class_interval(experiment, scale, name)) for name in rare]
        rows.append(row)
    note = (
        f'{scale.measure} in percent at the end of training; mean ± half width of the 95 % Student-t interval over '
        'the seeds (one seed: no interval). Δ is paired seed by seed where the seeds match.'
    )
    return table(header, rows) + f'<p class="note">{note}</p>'


def _first_value(story: Story, name: str) -> float:
    """Value of a class in the first evaluation of the only experiment, NaN when there was just one."""
    evaluations = [
        e
        for e in story.baseline.runs[0].evaluations
        if story.baseline.runs[0].last and e.split == story.baseline.runs[0].last.split
    ]
    if len(evaluations) < 2:
        return math.nan
    value = class_value(evaluations[0].scalars, story.scale.measure, name)
    return math.nan if value is None else value * story.scale.factor


def _seeds(experiment: Experiment) -> str:
    """The seeds, or how many runs when they are unknown or many."""
    seeds = [run.seed for run in experiment.runs]
    if None in seeds or len(seeds) > 5 or max(seeds) >= DRAWN_SEED:
        return str(len(seeds))
    return ', '.join(str(seed) for seed in seeds)


def _delta(interval: tuple[float, float]) -> str:
    """A signed difference, green or red when its interval (if any) leaves out zero."""
    value, half = interval
    if math.isnan(value):
        return '–'
    clear = abs(value) > (0.05 if math.isnan(half) else half)
    css = 'up' if value > 0 else 'down'
    return f'<span class="{css}">{number(value, half, sign=True)}</span>' if clear else number(value, half, sign=True)


def _percent(share: float | None) -> str:
    """A share with as many digits as it needs."""
    if share is None:
        return 'unknown share'
    return f'{share:.1f} %' if share >= 10 else f'{share:.2g} %'


def _why_no_rare(story: Story) -> str:
    """What to do when nobody counted the classes."""
    if not story.classes:
        return (
            '<p class="note">The runs did not store a class list: add dict(type="imbdense.ReportHook") to '
            'custom_hooks.</p>'
        )
    if story.counts is None:
        return (
            '<p class="note">Which classes are rare is unknown: add dict(type="imbdense.ClassCountHook") to '
            'custom_hooks, so that the training labels are counted.</p>'
        )
    return ''
