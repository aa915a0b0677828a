"""What a measurement of neural collapse leaves: one record per time, the file of a run, words for the log."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from imbdense.core.checks import check_number
from imbdense.core.metrics.neural_collapse import CollapseMeasures


def record_of(found: CollapseMeasures, classes: list[str], step: int) -> dict[str, Any]:
    """One entry of the history."""
    return {
        'step': step,
        'samples': sum(found.counts),
        'scalars': found.scalars,
        'projected': found.projected,
        'excluded': [classes[index] for index in found.excluded],
        'tail': [classes[index] for index in found.tail],
        'head': [classes[index] for index in found.head],
        'per_class': [
            {
                'class': name,
                'samples': found.counts[index],
                'weight_norm': found.weight_norm[index],
                'mean_norm': found.mean_norm[index],
                'survival': None if found.survival is None else found.survival[index],
            }
            for index, name in enumerate(classes)
        ],
    }


def explain(found: CollapseMeasures, classes: list[str]) -> list[str]:
    """Lines under the table."""
    lines = [f'tail: {", ".join(classes[i] for i in found.tail)}; head: {", ".join(classes[i] for i in found.head)}']
    if found.excluded:
        lines.append(f'fewer than two samples, not in NC1: {", ".join(classes[i] for i in found.excluded)}')
    if found.survival is not None:
        lost = [name for name, value in zip(classes, found.survival) if value <= 1]
        lines.append(f'would vanish by the squared-error theory at this weight decay: {", ".join(lost) or "no class"}')
    if found.projected:
        lines.append('NC1 in a random projection of the features to 256 dimensions')
    return lines


def decay_pair(value: float | Sequence[float]) -> tuple[float, float]:
    """(of W, of the features) from one number or two."""
    pair = [value, value] if isinstance(value, (int, float)) else list(value)
    if len(pair) != 2:
        raise ValueError(f'NeuralCollapseHook: weight_decay must be one number or two, but is {value}.')
    first, second = (check_number('weight_decay', item, low=0.0, owner='NeuralCollapseHook') for item in pair)
    return first, second


def decay_of(runner: Any, classifier: Any) -> tuple[float, float] | None:
    """The optimiser's weight decay of a learned classifier, for both; ``None`` for a fixed one or when unknown."""
    weight = getattr(classifier, 'weight', None)
    for group in getattr(runner.optim_wrapper, 'param_groups', ()):
        if any(parameter is weight for parameter in group['params']):
            decay = float(group.get('weight_decay', 0.0))
            return decay, decay
    return None


def history_file(runner: Any) -> Path:
    """Where the measurements of a run lie."""
    return Path(runner.work_dir) / 'imbdense' / 'neural_collapse.json'


def read_history(runner: Any) -> list[dict[str, Any]]:
    """Records of the file for a training that goes on; [] at the start, or when there is none that can be read."""
    if int(runner.iter) == 0:
        return []
    try:
        content = json.loads(history_file(runner).read_text('utf-8'))
        return [record for record in content['history'] if isinstance(record['step'], int)]
    except (OSError, ValueError, KeyError, TypeError):
        return []
