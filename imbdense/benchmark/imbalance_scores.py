"""What the imbalance grid measures: rare-class score, relative accuracy, ranks."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from imbdense.benchmark.runs import Run
from imbdense.benchmark.suites import Suite

BALANCED = 'scenes_ir1'
Scores = Mapping[tuple[str, str, int], Mapping[str, float]]
"""(suite, row, seed) -> {'mean': .., 'rare': ..}, or {} for a step that the prior ledger refused."""


def collect_scores(runs: Sequence[Run]) -> Scores:
    """Read the finished cells. 'rare' is the mean over the rare classes of the suite."""
    found: dict[tuple[str, str, int], dict[str, float]] = {}
    for run in runs:
        result = run.result()
        if result is None:
            continue
        values = {} if result.get('refused') else {
            'mean': result[run.suite.mean_key],
            'rare': float(np.mean([result.get(key, 0.0) for key in run.suite.rare_keys])),
        }
        found[run.suite.name, run.method.name, run.seed] = values
    return found


def values_of(scores: Scores, suite: str, row: str, key: str) -> dict[int, float]:
    """seed -> value of one row."""
    return {seed: value[key] for (name, method, seed), value in scores.items()
            if (name, method) == (suite, row) and key in value}


def relative_accuracy(scores: Scores, suite: str, row: str, baseline: str, key: str) -> dict[int, float]:
    """seed -> A_t / max(A_v, A_b): how much of what balanced data would have given is reached (long-tail survey).

    A_t is the row on the imbalanced data, A_v the plain baseline and A_b the row itself on balanced data of the same
    size, both as means over their seeds: a single seed that fails on balanced data would rule the ratio. Rows refused
    on balanced data (nothing to correct) have A_v alone.
    """
    own, plain = values_of(scores, suite, row, key), values_of(scores, BALANCED, baseline, key)
    balanced = values_of(scores, BALANCED, row, key)
    best = max((float(np.mean(list(part.values()))) for part in (plain, balanced) if part), default=0.0)
    return {seed: value / best for seed, value in own.items()} if best > 0 else {}


def sign_test(differences: Sequence[float]) -> float:
    """Two-sided p of the sign test; ties are left out, NaN without any difference."""
    signs = [value > 0 for value in differences if value != 0]
    return float(stats.binomtest(sum(signs), len(signs)).pvalue) if signs else math.nan


@dataclass(frozen=True)
class Ranking:
    """Mean rank of each row over blocks (suite, seed), 1 = best; ``p`` of Friedman's test that all are alike."""

    ranks: Mapping[str, float]
    blocks: int
    p: float


def rank_rows(scores: Scores, suites: Sequence[Suite], rows: Sequence[str], key: str) -> Ranking:
    """Rank the rows that have a value in every block; ties share their mean rank."""
    blocks = sorted({(suite, seed) for suite, _, seed in scores if suite in {s.name for s in suites}})
    complete = [row for row in rows if blocks and all(key in scores.get((s, row, seed), {}) for s, seed in blocks)]
    if not complete:
        return Ranking({}, 0, math.nan)
    table = np.array([[scores[suite, row, seed][key] for row in complete] for suite, seed in blocks])
    ranks = stats.rankdata(-table, axis=1).mean(0)
    enough = len(complete) > 2 and len(blocks) > 1
    p = float(stats.friedmanchisquare(*table.T).pvalue) if enough else math.nan
    return Ranking(dict(zip(complete, ranks.tolist(), strict=True)), len(blocks), p)


def by_seed(first: Mapping[int, float], second: Mapping[int, float],
            combine: Callable[[float, float], float]) -> list[float]:
    """Combine two rows seed by seed, for the seeds both have."""
    return [combine(first[seed], second[seed]) for seed in sorted(first.keys() & second.keys())]
