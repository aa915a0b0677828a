"""Speed of the hot paths as ratios against named peers, with equality and n -> 4n checks.

CPU time, one thread, both sides in turn in one process, least of the repetitions. Exit code 1 when a case is slower
than 1.5 x its target, gives other results than the peer, or grows faster than it should.
"""

from __future__ import annotations

import argparse
import difflib
import json
import os
import platform
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from imbdense.benchmark.speed_case import GROWTH_SLACK, SLACK, SpeedResult
from imbdense.benchmark.speed_cases import case_names, load_case
from imbdense.utils.files import atomic_write_text

PACKAGES = ('torch', 'numpy', 'scipy', 'numba', 'opencv-python', 'rasterio', 'scikit-learn', 'mmsegmentation',
            'onedl-mmsegmentation', 'mmdet', 'onedl-mmdetection', 'monai')

NOTES = (
    '* Other processes on the same cores inflate CPU time as well (shared caches, hyper-threads), the absolute limits',
    '  of `scene` most of all; ratios hardly. The load average is stated below.',
    '* `scene` runs with `OMP_NUM_THREADS=1`. With two OpenMP threads on two busy cores the same scene took 93 s of',
    '  CPU instead of 57 s, and longer by the clock too (97 s instead of 61 s): the threads wait for each other.',
    '* `label-scan`: decoding rules, so ours decodes PNGs itself (libdeflate, compiled filters;',
    '  `data/readers/png.py`). Measured apart on real labels: dubai_aerial (797×644) 0.28 as they are (palette), 0.30',
    '  saved as grey PNGs; files of two kilobytes (256²) are ruled by the cost of opening them: 0.48 on nuclei labels,',
    '  0.83 on the generated scenes. With regions and drawn positions, which the first scan counts too: 0.34 to 1.03.',
    '* `sampler-start`: ours begins with the class table that the statistics keep for the data set; making that table',
    '  from annotations for the first time is one pass over them, as the peer does. The peer reads records of seven',
    '  objects per image on average, pickled as mmdet keeps them; with fewer objects its start is cheaper.',
    '* `rare-crop`: the peer is set to a ratio it cannot meet (`cat_max_ratio=1e-4`), so that all its ten retries run.',
    '* `instance-paste`: hard borders, as the peer pastes. A good part of ours is the stack of whole-image masks that',
    '  the host keeps, 30 MB here.',
    '* `muon-step`: the iteration costs about 150 GFLOP a step whatever the batch; forward and backward of two images',
    '  of 512² are so little that 1.15 is out of reach in float32 (as published, without the Gram form: about 1.7).',
    '  With `ns_dtype="bfloat16"` and AVX512-BF16 1.28 was measured. The share falls with the batch.',
    '* `k-means`, `knn-faiss`: the OpenBLAS 0.3.15 in faiss-cpu takes processors newer than itself for old ones;',
    '  it is told which one it runs on (`OPENBLAS_CORETYPE`), else the peer would be four times slower. Bounds by the',
    '  triangle inequality were tried in k-means: they spare few rows in ten moves and cost more than they spare.',
    '* `ofds`: the limits are those for four cores, met by one. Two cores at best halve the times; the cores were too',
    '  busy to measure it.',
    '* `raster-*` and `geotiff-window` run with a GDAL block cache of 16 MB: rasters of use are larger than a cache.',
    '  `raster-monai`: ours writes in units; the peer holds the raster and all scores in memory.',
    '  `raster-reading`: .33 was wanted. The cache lets the peer decode every block 2.8 times, no more; decoding',
    '  once, by GDAL on both sides, is .34 of it, joining pieces to rows of tiles .014.',
    '* `slide-mmseg`: 0.11 was measured on a calmer machine; .15 to .19 in five runs here. Of 340 ms the network,',
    '  which both sides run, takes 150, adding windows of 20 MB to sums of 319 MB 135, zeros 15, the division 27: all',
    "  of it memory. Dividing each window's finished pixels right away cost 9 to 55 ms more, with first pixels",
    '  written in place of added to zeros 60 to 85, adding class by class 50.',
    '* `voxel-grid-ground`: .06 was wanted here as well. Where nine points share a column of voxels the peer has less',
    '  to do per point, ours the same: of 71 ms on the busy machine, numbering the cells takes 17, their radix sort',
    '  18, voxel and count of each point 8, sums per voxel 13, writing rows of results 15. No faster were a table',
    '  over all cells of the box in place of the sort (26 ms for 26), a bit map of them with numba (31 for 26), and',
    '  points dealt into buckets that fit the cache, all else in one loop of numba (100 for 66 as a whole): points in',
    '  random order wait for memory in each.',
    '* `point-neighbours`: the peer waits for memory, ours does less, so the ratio moves with what else the machine',
    "  does. Without numba ours is SciPy's tree on ordered points: .40 to .62 in six runs. The first call on a",
    '  machine compiles for about 5 s.',
    '* "n → 4n" compares sizes above the second-level cache for `balanced-softmax`, `reweighted-ce` and `confusion-*`',
    '  (2 and 8 times the size of the table), since leaving a cache is no growth of the work.',
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the sub-command."""
    parser.add_argument('case', nargs='*', metavar='CASE', help=f'cases to run, default all: {", ".join(case_names())}')
    parser.add_argument('--json', action='store_true', help='print the results as JSON')
    parser.add_argument('--markdown', type=Path, metavar='FILE', help='write the table, docs/benchmarks/speed.md')


def run(args: argparse.Namespace) -> int:
    """Run the cases, print the table; 1 when one fails."""
    from imbdense.cli.main import UserError

    names = args.case or case_names()
    unknown = [name for name in names if name not in case_names()]
    if unknown:
        near = difflib.get_close_matches(unknown[0], case_names(), n=2)
        hint = f'Did you mean {" or ".join(near)}?' if near else f'The cases are {", ".join(case_names())}.'
        raise UserError(f'there is no speed case {unknown[0]!r}. {hint}')
    os.environ.setdefault('GDAL_CACHEMAX', '16')  # megabytes; by default, 5 % of the memory, all rasters here fit
    results = [result for name in names for result in measure(name)]
    if args.json:
        print(json.dumps({'machine': machine(), 'results': [result.to_dict() for result in results]}, indent=1))
    else:
        print_table(results)
    if args.markdown:
        atomic_write_text(args.markdown, markdown(results))
    return 0 if all(result.good for result in results) else 1


def measure(name: str) -> list[SpeedResult]:
    """Run one case; a peer or part that is not installed makes a failed line instead of a traceback."""
    try:
        return list(load_case(name).measure())
    except ImportError as error:
        return [SpeedResult(name, 'could not run', '', float('nan'), float('nan'), 'x', str(error), False)]


def machine() -> dict[str, str]:
    """What the numbers were measured on."""
    cpu = platform.processor() or platform.machine()
    if Path('/proc/cpuinfo').exists():
        lines = Path('/proc/cpuinfo').read_text(encoding='utf-8').splitlines()
        cpu = next((line.split(':', 1)[1].strip() for line in lines if line.startswith('model name')), cpu)
    found = {'cpu': f'{cpu}, {os.cpu_count()} logical', 'system': platform.platform(terse=True),
             'python': platform.python_version(), 'load average': '{:.1f} {:.1f} {:.1f}'.format(*os.getloadavg())}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def print_table(results: Sequence[SpeedResult]) -> None:
    """The results on the terminal."""
    from rich.console import Console
    from rich.table import Table

    table = Table(title='speed (CPU time, one thread; lower is better)', title_justify='left')
    for column in ('case', 'what', 'peer', 'measured', 'target', 'n → 4n', 'check'):
        table.add_column(column, overflow='fold')
    for result in results:
        colour = 'green' if result.good else 'red'
        table.add_row(result.name, result.what, result.peer, f'[{colour}]{_number(result.value, result.unit)}[/]',
                      _number(result.target, result.unit), _growth(result), result.note)
    Console().print(table)


def markdown(results: Sequence[SpeedResult]) -> str:
    """The page of the docs."""
    lines = [
        '# Speed',
        '',
        'Written by `imbdense benchmark speed --markdown docs/benchmarks/speed.md`. CPU time, one thread, both sides',
        'in turn in one process, least of at least five repetitions (one for the peer of `sampler-start`). "×" is ours',
        'divided by the peer. Results are checked for equality in the same process. "n → 4n" is how much four times',
        'the work costs. The process keeps freed memory, so that page faults do not blur the times. The command fails',
        f'above {SLACK} times a target, and where four times the work costs over {GROWTH_SLACK} times what it should',
        '(4.6; 5.5 for n log n).',
        '',
        '| case | what | peer | measured | target | n → 4n | ours ms | peer ms | check |',
        '|---|---|---|---:|---:|---:|---:|---:|---|',
    ]
    for r in results:
        mark = ' **fails**' if not r.good else ' (above target)' if r.value > r.target else ''
        lines.append(
            f'| `{r.name}` | {r.what} | {r.peer} | {_number(r.value, r.unit)}{mark} | {_number(r.target, r.unit)} | '
            f'{_growth(r)} | {_ms(r.ours_ms)} | {_ms(r.peer_ms)} | {r.note} |'
        )
    lines += ['', '## What to know', '', *NOTES, '', '## Machine', '']
    lines += [f'* {key}: {value}' for key, value in machine().items()]
    return '\n'.join(lines) + '\n'


def _number(value: float, unit: str) -> str:
    """Three significant digits."""
    if value != value:
        return '–'
    return f'{value:.3g} {"×" if unit == "x" else unit}'


def _growth(result: SpeedResult) -> str:
    """The n -> 4n factor."""
    return '–' if result.growth is None else f'{result.growth:.2f}'


def _ms(value: float) -> str:
    """Milliseconds for the curious; the ratio is what counts."""
    return '–' if value != value else f'{value:.3g}'
