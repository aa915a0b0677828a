"""The runs themselves: seed, times, machine, versions, config, what could not be read."""

from __future__ import annotations

from datetime import datetime
from html import escape
from typing import Any

from imbdense.report.page import details, table
from imbdense.report.story import Story
from imbdense.report.workdir import Run


def warning_box(story: Story) -> str:
    """What is incomplete or doubtful; shown before everything else."""
    lines = [f'{run.path}: {text}' for run in story.runs for text in run.warnings]
    lines += [
        f'{e.name}: the {len(e.runs)} runs differ in more than the seed; their interval mixes settings.'
        for e in story.experiments
        if e.mixed
    ]
    return ''.join(f'<p class="note warn">{escape(line)}</p>' for line in lines)


def run_section(story: Story) -> str:
    """Table of runs, versions and the configs."""
    rows = [
        [
            escape(experiment.name),
            escape(str(run.path)),
            str(run.seed if run.seed is not None else '–'),
            _status(run),
            _iterations(run),
            _duration(run.info),
            escape(str((run.info.get('machine') or {}).get('name', '–'))),
        ]
        for experiment in story.experiments
        for run in experiment.runs
    ]
    body = table(['experiment', 'work dir', 'seed', 'state', 'iterations', 'duration', 'machine'], rows)
    versions = [
        (experiment.name, run.info.get('versions')) for experiment in story.experiments for run in experiment.runs[:1]
    ]
    lines = [
        f'{name}: ' + ', '.join(f'{k} {v}' for k, v in found.items())
        for name, found in versions
        if isinstance(found, dict)
    ]
    if lines:
        body += details('Versions', f'<pre>{escape(chr(10).join(dict.fromkeys(lines)))}</pre>')
    for experiment in story.experiments:
        text = next((run.info['config'] for run in experiment.runs if run.info.get('config')), None)
        if text:
            body += details(f'Config of {experiment.name}', f'<pre>{escape(str(text))}</pre>')
    return warning_box(story) + body


def _status(run: Run) -> str:
    """finished, or where it stopped."""
    if not run.info:
        return 'no run.json'
    return 'finished' if run.info.get('finished') else '<span class="down">not finished</span>'


def _iterations(run: Run) -> str:
    """Last iteration seen, of the planned number."""
    seen = max([step for step, _ in run.curve[-1:]] + [e.step for e in run.evaluations[-1:]], default=0)
    planned = run.info.get('max_iters')
    return f'{seen:,} of {planned:,}' if isinstance(planned, int) else f'{seen:,}'


def _duration(info: dict[str, Any]) -> str:
    """Wall time from start to finish or to the last sign of life."""
    try:
        start = datetime.fromisoformat(info['started'])
        end = datetime.fromisoformat(info.get('finished') or info['updated'])
    except (KeyError, TypeError, ValueError):
        return '–'
    minutes = (end - start).total_seconds() / 60
    return f'{minutes:.1f} min' if minutes < 120 else f'{minutes / 60:.1f} h'
