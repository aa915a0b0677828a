"""Where does a finished model lose its rare classes, and what mends it?

  imbdense diagnose CONFIG CHECKPOINT

Detection: in the proposals, in localisation, in ranking against the background, in classification, or by the score
threshold and the cap on detections. Segmentation: to the class prior, in small parts, at borders, or to other classes.
The shares of a class add up to what it lacks to a perfect score. Writes imbdense/diagnosis.json in the work dir, which
`imbdense report` shows.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from imbdense.cli._explain import explained
from imbdense.cli._outputs import add_output_arguments, finished_outputs, progress_line, work_dir

if TYPE_CHECKING:
    from rich.console import Console

WIDTH = 130
"""Characters the tables need; a narrower terminal wraps the lines, which loses less than cutting the numbers."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the verb."""
    add_output_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Save outputs, diagnose, write, print."""
    with explained(args.config, args.traceback):
        from mmengine.dist import is_main_process
        from rich.console import Console

        from imbdense.mm.inference.diagnose import diagnose_outputs
        from imbdense.utils.files import atomic_write_json

        finished, store = finished_outputs(args, 'diagnose')
        if not is_main_process():
            return 0
        counts, source = _counts(finished, args)
        with progress_line('diagnose') as progress:
            record = diagnose_outputs(store, counts, source, progress)
        target = work_dir(args) / 'imbdense' / 'diagnosis.json'
        atomic_write_json(target, record)
        show(record, Console(highlight=False, width=max(WIDTH, Console().width)))
        print(f'\nwritten to {target}')
    return 0


def _counts(finished: Any, args: argparse.Namespace) -> tuple[list[float] | None, str]:
    """Training counts behind the frequency groups: the file given, else those in the checkpoint, else ``None``."""
    from imbdense.core.stats import ClassCounts
    from imbdense.mm.class_counts import default_unit, load_class_counts
    from imbdense.mm.prior import META_KEY

    if args.class_counts is not None:
        counts = load_class_counts(args.class_counts, '--class-counts')
    else:
        record = (finished.content.get('meta') or {}).get(META_KEY, {}).get('class_counts')
        if record is None:
            return None, ''
        counts = ClassCounts.from_dict(record)
    unit = default_unit(counts)
    return counts.select(list(finished.classes)).of(unit).astype(float).tolist(), f'{unit} of the training set'


def show(record: dict[str, Any], console: Console) -> None:
    """The tables of a diagnosis, rarest class last, and what to do about every group."""
    from rich.table import Table

    causes, classes = list(record['shares']), record['classes']
    table = Table(title=f'What each class lacks to {record["score"]} 100, by cause', title_justify='left', box=None)
    for name in ('class', 'count', 'objects' if record['task'] == 'detection' else 'pixels', record['score'], *causes):
        table.add_column(name, justify='left' if name == 'class' else 'right', no_wrap=True)
    table.add_column('mostly taken for', no_wrap=True)
    for c in sorted(range(len(classes)), key=lambda index: -record['counts'][index]):
        table.add_row(*_row(record, c, causes))
    for group, members in record['groups'].items():
        shares = record['group_shares'][group]
        score = _mean([record['measures'][record['score']][c] for c in members])
        cells = [_percent(score), *(_percent(shares[cause]) for cause in causes)]
        table.add_row(f'[bold]{group}[/bold]', '', '', *cells, ', '.join(classes[c] for c in members))
    console.print(table)
    console.print(f'groups by {record["counts_source"]}')
    if 'error_delta_ap' in record:
        _show_errors(record, console)
    else:
        _show_recalls(record, console)
    for group, found in record['group_verdicts'].items():
        _show_verdict(group, found, console)
    for name, found in zip(classes, record['verdicts']):
        if found and found['share'] >= 0.1:
            named = ' and '.join([found['cause'], *found['also']])
            console.print(f'{name}: mostly {named} ({_percent(found["share"])} of 100)')


def _row(record: dict[str, Any], c: int, causes: list[str]) -> list[str]:
    """One class."""
    row = record['taken_for'][c]
    names = [*record['classes'], 'nothing']
    others = sorted((j for j in range(len(row)) if j != c and row[j]), key=lambda j: -row[j])[:2]
    taken = ', '.join(f'{names[j]} {100 * row[j] / sum(row):.0f} %' for j in others)
    score = record['measures'][record['score']][c]
    cells = [_percent(score), *(_percent(record['shares'][cause][c]) for cause in causes)]
    return [record['classes'][c], f'{record["counts"][c]:,.0f}', f'{record["truth"][c]:,}', *cells, taken]


def _show_errors(record: dict[str, Any], console: Console) -> None:
    """AP50 that mending one error type alone would win, mean per group."""
    from rich.table import Table

    table = Table(title='AP50 won if one error type were mended (points)', title_justify='left', box=None)
    table.add_column('group')
    for name in record['error_delta_ap']:
        table.add_column(name, justify='right')
    for group, members in record['groups'].items():
        cells = [_percent(_mean([values[c] for c in members])) for values in record['error_delta_ap'].values()]
        table.add_row(group, *cells)
    console.print(table)
    console.print('Cls wrong class, Loc wrong place, Both, Dupe second box, Bkg on nothing, Miss not explained by any')


def _show_recalls(record: dict[str, Any], console: Console) -> None:
    """Recall of each class: as it is, with a balanced prior, by the size of its parts, at and off borders."""
    from rich.table import Table

    names = {
        'recall': 'as it is', 'recall_balanced': 'balanced prior', 'recall_small_parts': 'parts < 32²',
        'recall_medium_parts': '< 96²', 'recall_large_parts': 'larger', 'recall_border': 'at borders',
        'recall_inside': 'inside',
    }  # fmt: skip
    table = Table(title='Recall (of 100)', title_justify='left', box=None)
    table.add_column('class')
    for title in names.values():
        table.add_column(title, justify='right')
    for c in sorted(range(len(record['classes'])), key=lambda index: -record['counts'][index]):
        table.add_row(record['classes'][c], *(_percent(record['measures'][name][c]) for name in names))
    console.print(table)


def _show_verdict(group: str, found: dict[str, Any] | None, console: Console) -> None:
    """What to do about one group."""
    if found is None:
        console.print(f'\n[bold]{group}[/bold]: nothing to mend')
        return
    also = f', also {" and ".join(found["also"])}' if found['also'] else ''
    console.print(f'\n[bold]{group}[/bold]: {found["cause"]} ({_percent(found["share"])} of 100){also}')
    for remedy in found['remedies']:
        console.print(f'  {remedy["text"]}:')
        console.print(f'    {remedy["config"]}', markup=False, soft_wrap=True)


def _percent(value: float | None) -> str:
    """A share in points, '–' where there is none."""
    return '–' if value is None else f'{100 * value:.1f}'


def _mean(values: list[float | None]) -> float | None:
    """Mean of what is defined."""
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None
