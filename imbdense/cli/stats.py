"""Count the classes of a data set: pixels, regions, objects and images per class, imbalance, co-occurrence, sizes,
label shift between splits, and the loss weights that follow. Of pairs of images also the share of changed pixels, the
share of pairs with any change, and every transition between land covers.

  imbdense stats configs/segmentation/my_config.py
  imbdense stats data/scenes --out work_dirs/stats
  imbdense stats annotations/train.json
  imbdense stats some_foreign_mmdet_config.py --split train val

Counting is cached: the second run takes a moment. Nothing but the labels is read (of rasters the bands too: where they
hold no data, a label counts nothing).
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from imbdense.cli._numbers import whole
from imbdense.cli._splits import add_source_arguments, open_splits
from imbdense.cli.main import UserError
from imbdense.core.stats import ClassCounts, imbalance_indices
from imbdense.data.change.summary import ChangeSummary, change_summary
from imbdense.data.checks.splits import ChangeSplit, RasterSplit, SegmentationSplit, Split

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the verb."""
    add_source_arguments(parser)
    parser.add_argument('--out', metavar='DIR', help='write stats.json, stats.html and plots (PNG) there')
    parser.add_argument('--no-regions', action='store_true', help='do not count regions and sizes (half the time)')
    parser.add_argument('--workers', type=whole(0), metavar='N', help='processes; default all CPUs, 0 = none')


def run(args: argparse.Namespace) -> int:
    """Count, print, write; 1 when label files are broken (the counts then lack them), else 0."""
    from rich.console import Console

    console = Console(highlight=False)
    counts: dict[str, ClassCounts] = {}
    changes: dict[str, ChangeSummary] = {}
    broken, rows = 0, {}
    for split in open_splits(args):
        counts[split.name], faults = _count(split, args, console)
        raster = isinstance(split, RasterSplit)
        rows[split.name] = 'blocks of 512 pixels' if raster else counts[split.name].word('images')
        broken += faults
        if isinstance(split, ChangeSplit) and not faults:
            changes[split.name] = _changes(split, args)
    for name, found in counts.items():
        _print_split(console, name, found, rows[name])
        if name in changes:
            _print_changes(console, changes[name])
    _print_shift(console, counts)
    if args.out:
        _write(Path(args.out), counts, changes)
        console.print(f'written: {args.out}/stats.json, stats.html and plots')
    return 1 if broken else 0


def _count(split: Split, args: argparse.Namespace, console: Console) -> tuple[ClassCounts, int]:
    """(counts, broken files), saying where they are kept."""
    if not isinstance(split, SegmentationSplit):
        return split.records.counts(split.classes), 0
    try:
        found = split.scan(regions=not args.no_regions, workers=args.workers, progress=True)
    except (ValueError, OSError) as error:  # of a raster; broken label files are findings
        raise UserError(str(error)) from error
    for finding in found.errors[:5]:
        console.print(f'[red]{finding.severity}[/red] {finding.file}: {finding.message} {finding.cure}', soft_wrap=True)
    if len(found.errors) > 5:
        console.print(f'... and {len(found.errors) - 5} more; `imbdense check` lists all of them.')
    if found.counts_file is not None:
        console.print(
            f'[dim]{split.name}: read {found.fresh} of {len(found.records)} labels, the rest from the cache; '
            f'counts in {found.counts_file}[/dim]',
            soft_wrap=True,
        )
    return found.counts, len(found.errors)


def _changes(split: ChangeSplit, args: argparse.Namespace) -> ChangeSummary:
    """What changes how often in a split of pairs.

    Raises:
        UserError: a land-cover map is broken; the message names it.
    """
    try:
        found = split.scan(regions=not args.no_regions, workers=args.workers)
        return change_summary(found.table, split.transitions(workers=args.workers))
    except ValueError as error:
        raise UserError(f'{error} `imbdense check` lists all such files.') from error


def _print_changes(console: Console, summary: ChangeSummary) -> None:
    """The two statistics that need different cures, and the transitions, most frequent first."""
    console.print(
        f'changed: {100 * summary.changed_pixels:.3g} % of the known pixels; '
        f'{100 * summary.pairs_with_change:.3g} % of the pairs hold any change'
    )
    for text in summary.advice():
        console.print(f'  [yellow]{text}[/yellow]')
    if summary.transitions:
        table = _table(console, 'share of change', 'pixels', 'pairs')
        total = sum(pixels for pixels, _ in summary.transitions.values())
        for name, (pixels, pairs) in sorted(summary.transitions.items(), key=lambda item: -item[1][0]):
            table.add_row(name, f'{100 * pixels / total:.3g} %', _short(pixels), _short(pairs))
        console.print(table)
        console.print(
            f'transitions: {len(summary.transitions)} of {summary.possible} occur, effective number '
            f'{summary.effective_transitions:.2f}'
        )
    console.print()


def _print_split(console: Console, name: str, counts: ClassCounts, rows: str) -> None:
    """The table and the indices of one split."""
    from imbdense.data.scan.section import UNITS, main_unit, suggested_weights

    unit = main_unit(counts)
    values = counts.of(unit)
    units = [known for known in UNITS if known in counts.units]
    total = max(int(values.sum()), 1)
    order = sorted(range(counts.num_classes), key=lambda k: -int(values[k]))
    console.print(f'[bold]{name}[/bold]: {counts.num_images:,} {rows}')
    table = _table(console, 'share', *map(counts.word, units))
    for index in order:
        cells = (_short(int(counts.of(known)[index])) for known in units)
        table.add_row(counts.classes[index], f'{100 * values[index] / total:.3g} %', *cells)
    console.print(table)
    if values.sum():
        line = imbalance_indices(values)
        console.print(
            f'{counts.word(unit)}: imbalance ratio {line["imbalance_ratio"]:,.4g}, Gini {line["gini"]:.3f}, '
            f'effective number of classes {line["effective_number"]:.2f} of {counts.num_classes}, '
            f'evenness {line["shannon_evenness"]:.3f}'
        )
        weights = suggested_weights(counts)
        table = _table(console, *weights)
        for index in order:
            table.add_row(counts.classes[index], *(f'{values[index]:.3g}' for values in weights.values()))
        console.print('\nloss weights by scheme (imbdense.ReweightedCELoss):')
        console.print(table)
    absent = [label for label, value in zip(counts.classes, values.tolist()) if value == 0]
    if absent:
        console.print(f'[yellow]absent: {", ".join(absent)}[/yellow]')
    if counts.ignored_pixels:
        share = 100 * counts.ignored_pixels / (counts.ignored_pixels + total)
        console.print(f'ignored: {counts.ignored_pixels:,} {counts.word("pixels")} ({share:.2g} %)')
    console.print()


def _table(console: Console, *columns: str) -> Table:
    """A plain table whose first column is the class."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    table.add_column('class', no_wrap=True, max_width=max(20, console.width - 10 * len(columns) - 2))
    for column in columns:
        table.add_column(column, justify='right', no_wrap=True)
    return table


def _short(value: int) -> str:
    """A count in at most five digits."""
    for limit, unit in ((10**9, 'G'), (10**6, 'M')):
        if value >= limit:
            return f'{value / limit:.4g} {unit}'
    return f'{value:,}'


def _print_shift(console: Console, counts: Mapping[str, ClassCounts]) -> None:
    """The first split against the others."""
    from imbdense.data.scan.section import shifts

    for name, shift in shifts(counts).items() if len(counts) > 1 else ():
        console.print(
            f'label shift {name}: total variation {shift.total_variation:.3f}, Jensen-Shannon '
            f'{shift.jensen_shannon:.3f} bit ({shift.unit})'
        )
        for text in shift.warnings():
            console.print(f'  [yellow]{text}[/yellow]')


def _write(folder: Path, counts: Mapping[str, ClassCounts], changes: Mapping[str, ChangeSummary]) -> None:
    """JSON, page and pictures.

    Raises:
        UserError: the folder cannot be written.
    """
    from imbdense.data.scan.section import stats_plots, stats_record, stats_section
    from imbdense.report.page import page
    from imbdense.utils.files import FileWriteError, atomic_write_bytes, atomic_write_json, atomic_write_text

    try:
        record = stats_record(counts)
        for name, change in changes.items():
            record['splits'][name]['change'] = change.to_dict()
        atomic_write_json(folder / 'stats.json', record)
        for name, data in stats_plots(counts).items():
            atomic_write_bytes(folder / name, data)
        sections = [('Classes', 'Class statistics', stats_section(counts))]
        atomic_write_text(folder / 'stats.html', page('Class statistics', ', '.join(counts), sections))
    except FileWriteError as error:
        raise UserError(str(error)) from error
