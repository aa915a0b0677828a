"""The markdown page of the imbalance grid: a table per data set, then ranks over all of them."""

from __future__ import annotations

import math
import os
import platform
from collections.abc import Sequence

from imbdense.benchmark.imbalance_axes import BASELINE, LOSSES, POST_HOCS, SAMPLINGS, Size, method_name
from imbdense.benchmark.imbalance_scores import (
    BALANCED,
    Scores,
    by_seed,
    collect_scores,
    rank_rows,
    relative_accuracy,
    sign_test,
    values_of,
)
from imbdense.benchmark.runs import Run
from imbdense.benchmark.suites import Suite
from imbdense.benchmark.summary import mean_interval

PLAIN = method_name(*BASELINE)


def row_names(size: Size) -> list[str]:
    """Every trained point, then the same with each post-hoc step."""
    trained = [method_name(sampling, loss) for sampling in size.samplings for loss in size.losses]
    return [name if step == 'none' else f'{name}+{step}' for step in size.post_hocs for name in trained]


def imbalance_page(size: Size, suites: Sequence[Suite], runs: Sequence[Run]) -> str:
    """Build the page from the cells that have ended."""
    scores, rows = collect_scores(runs), row_names(size)
    imbalanced = [suite for suite in suites if suite.name != BALANCED]
    parts = [
        '# Imbalance: sampling × loss × post hoc × imbalance ratio',
        '',
        'Regenerate with `imbdense benchmark imbalance --markdown docs/benchmarks/imbalance.md --figure',
        'docs/images/imbalance.png` (resumable; `--size full` for a GPU box, torchrun, SLURM). Data, model, schedule',
        'and iterations of a data set are the same in every row. Mean ± 95 % Student-t interval over the',
        'seeds; Δ is paired with natural+ce, seed by seed. All ratios of the scenes are validated on the same scenes,',
        'whose object classes are balanced. RA is relative accuracy: the row on imbalanced data, divided by the better',
        'of natural+ce and the row itself on balanced data of the same size. "refused": the prior ledger finds the',
        'imbalance corrected already, so the step would correct it twice. mean = mIoU (mAP); rare = mean over the rare',
        'classes, named per data set.',
        '',
        f'Machine: {platform.machine()}, {os.cpu_count()} cores. CPU-sized models and schedules: compare rows.',
    ]
    for suite in suites:
        if any(key[0] == suite.name for key in scores):
            rare = ', '.join(key.rsplit('/', 1)[-1] for key in suite.rare_keys)
            parts += ['', f'## {suite.name}', '', f'{suite.note} Rare: {rare}.', '', *_suite_table(suite, rows, scores)]
    parts += ['', '## Ranks', '', *_rank_table(imbalanced, rows, scores), '', '## The lines', '', *_config_lines(size)]
    return '\n'.join(parts) + '\n'


def _suite_table(suite: Suite, rows: Sequence[str], scores: Scores) -> list[str]:
    """One line per row."""
    relative = suite.name.startswith('scenes') and suite.name != BALANCED
    header = ['row', 'mean', 'rare', 'Δ mean', 'Δ rare', *(['RA mean', 'RA rare'] if relative else []), 'seeds']
    lines = ['| ' + ' | '.join(header) + ' |', '|' + ' --- |' * len(header)]
    for row in rows:
        cells = {seed: value for (name, method, seed), value in scores.items() if (name, method) == (suite.name, row)}
        if not cells:
            continue
        if not any(cells.values()):
            lines.append('| ' + ' | '.join([row, 'refused', *[''] * (len(header) - 3), str(len(cells))]) + ' |')
            continue
        own = {key: values_of(scores, suite.name, row, key) for key in ('mean', 'rare')}
        texts = [row, *(_format(mean_interval(list(own[key].values()))) for key in own)]
        for key in own:
            gains = by_seed(own[key], values_of(scores, suite.name, PLAIN, key), lambda a, b: a - b)
            texts.append('–' if row == PLAIN else _format(mean_interval(gains), sign=True))
        if relative:
            texts += [_format(mean_interval(list(relative_accuracy(scores, suite.name, row, PLAIN, key).values())))
                      for key in own]
        lines.append('| ' + ' | '.join([*texts, str(len(own['mean']))]) + ' |')
    return lines


def _rank_table(suites: Sequence[Suite], rows: Sequence[str], scores: Scores) -> list[str]:
    """Mean ranks by the rare classes, with the sign test against the baseline."""
    rare, mean = (rank_rows(scores, suites, rows, key) for key in ('rare', 'mean'))
    if not rare.ranks:
        return ['No row is finished on every data set yet.']
    lines = [
        f'Mean rank over {rare.blocks} blocks (imbalanced data set × seed), 1 = best, rows finished in all of them.',
        f'Friedman test that all rows are alike: p = {rare.p:.2g} (rare), {mean.p:.2g} (mean). The sign test compares',
        'with natural+ce, block by block, two-sided.', '',
        '| row | rank, rare | rank, mean | blocks better / worse, rare | sign test p |', '|' + ' --- |' * 5,
    ]
    for row, rank in sorted(rare.ranks.items(), key=lambda item: item[1]):
        differences = [gain for suite in suites for gain in by_seed(
            values_of(scores, suite.name, row, 'rare'), values_of(scores, suite.name, PLAIN, 'rare'),
            lambda a, b: a - b)]
        better, worse = sum(gain > 0 for gain in differences), sum(gain < 0 for gain in differences)
        test = '–' if row == PLAIN else f'{sign_test(differences):.2g}'
        lines.append(f'| {row} | {rank:.1f} | {mean.ranks[row]:.1f} | {better} / {worse} | {test} |')
    return lines


def _config_lines(size: Size) -> list[str]:
    """What each name of an axis replaces in the config."""
    lines = []
    for axis, names in ((SAMPLINGS, size.samplings), (LOSSES, size.losses), (POST_HOCS, size.post_hocs)):
        for name in names:
            for path, value in axis[name].items():
                lines.append(f'* **{name}**: `{path} = {value!r}`')
    return lines


def _format(interval: tuple[float, float], *, sign: bool = False) -> str:
    """'0.123 ± 0.004', or the mean alone for one seed."""
    mean, half = interval
    if math.isnan(mean):
        return '–'
    text = f'{mean:+.3f}' if sign else f'{mean:.3f}'
    return text if math.isnan(half) else f'{text} ± {half:.3f}'
