"""What does one more hour of labelling buy, class by class? After a first batch has been labelled.

  imbdense select next POOL --labelled batch.json
  imbdense select next POOL --labelled batch_pool/ --minutes 120 --out next.json

POOL holds the proposals; --labelled what people have marked in some of its images: a COCO json, or the folder of a
pool made from ground truth. Both are matched by image name. Every image that is listed there counts as labelled, also
one without any object.

The table says, per class, how right the proposals were (precision and recall with 90 % intervals), how many of its
modes (clusters of its objects) the labelled images show, and how many new ones the next minutes would show if they
were spent on that class alone. The classes that are worth most come first. --out writes the table and the images, for
each class and for all together.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from imbdense.cli._numbers import seed_number
from imbdense.cli._outputs import keep_inputs
from imbdense.cli.main import UserError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from imbdense.core.selection import ObjectPool
    from imbdense.core.selection.next_hour import ClassWorth, Interval, NextHour
    from imbdense.core.selection.proposal_quality import LabelledBatch


TABLE_WIDTH = 132


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Proposals, labels, time."""
    parser.add_argument('pool', type=Path, help='folder of the proposals')
    parser.add_argument('--labelled', type=Path, required=True, metavar='PATH', help='COCO json of labelled images '
                        'or folder of a pool made from ground truth')
    parser.add_argument('--minutes', type=float, default=60.0, help='labelling time to spend (60); an image takes '
                        'what the pool says, else 1 minute')
    parser.add_argument('--score-thr', type=float, default=0.3, help='least score of a proposal (0.3)')
    parser.add_argument('--no-verify', action='store_true', help='keep proposals that their neighbours contradict')
    parser.add_argument('--max-modes', type=int, default=20, help='most modes of a class (20)')
    parser.add_argument('--seed', type=seed_number, default=0, help='of clusters and draws (0)')
    parser.add_argument('--out', type=Path, metavar='FILE', help='write table and images as json')


def run(args: argparse.Namespace) -> int:
    """Match, estimate, show."""
    from imbdense.core.selection import KNNVerifier
    from imbdense.core.selection.next_hour import next_hour
    from imbdense.core.selection.trusted import trusted_objects
    from imbdense.data.object_pool import PoolError, open_pool
    from imbdense.data.readers.errors import LabelReadError
    from imbdense.data.selection import SelectionError
    from imbdense.utils.files import atomic_write_json

    if not args.minutes > 0 or args.max_modes < 1:
        raise UserError('--minutes must be above 0 and --max-modes at least 1.')
    if not 0 <= args.score_thr <= 1:
        raise UserError('--score-thr must lie in [0, 1].')
    keep_inputs(args.out, args.labelled)
    try:
        pool = open_pool(args.pool)
        check_pool(pool, args)
        verify = None if args.no_verify else KNNVerifier()
        trusted = trusted_objects(pool, 0, score_thr=args.score_thr, adaptive_tau=False, verify=verify).rows
        batch = labelled_batch(pool, trusted, args.labelled)
    except (PoolError, LabelReadError, SelectionError) as error:
        raise UserError(str(error)) from error
    table = next_hour(pool, trusted, batch, minutes=args.minutes, seed=args.seed, max_modes=args.max_modes)
    show(table, args.minutes)
    if args.out is not None:
        atomic_write_json(args.out, {'pool': pool.fingerprint, 'seed': args.seed, **table.to_dict(pool.image_ids)})
        print(f'\nwrote {args.out}')
    return 0


def check_pool(pool: ObjectPool, args: argparse.Namespace) -> None:
    """See that the table can say something.

    Raises:
        UserError: no classes, or minutes that pay for no image.
    """
    if not pool.classes:
        raise UserError(f'{args.pool} names no classes (its source is whole images): there is nothing to tell class by '
                        f'class. Make a pool of proposals: `imbdense select pool --source pred` or coco-json.')
    cheapest = 1.0 if pool.img_cost is None else float(pool.img_cost.min(initial=float('inf')))
    if args.minutes < cheapest:
        raise UserError(f'--minutes {args.minutes:g} pay for no image: the cheapest takes {cheapest:g}.')


def labelled_batch(pool: ObjectPool, trusted: NDArray[np.int64], path: Path) -> LabelledBatch:
    """What people have marked, matched with the proposals.

    Raises:
        UserError: the labels lack a class of the pool. SelectionError: an image is not in the pool.
    """
    import numpy as np

    from imbdense.core.selection.proposal_quality import match_batch
    from imbdense.data.finding import log_findings
    from imbdense.data.object_pool import open_pool
    from imbdense.data.readers.coco import read_coco
    from imbdense.data.selection import match_names

    if path.is_dir():
        marked = open_pool(path)
        names, owner, boxes = marked.image_ids, marked.obj_image, marked.obj_box
        classes = classes_of_pool(marked, pool.classes, path)
        owner, classes, boxes = owner[classes >= 0], classes[classes >= 0], boxes[classes >= 0]
    else:
        found = read_coco(path, pool.classes)
        log_findings(found.findings)
        names, classes, boxes = [image.file_name for image in found.images], found.labels, found.boxes
        owner = np.repeat(np.arange(len(found)), np.diff(found.indptr))
        owner, classes, boxes = owner[~found.crowd], classes[~found.crowd], boxes[~found.crowd]
    places = np.array(match_names(names, pool.image_ids, what='labelled images', where='the pool'), dtype=np.int64)
    return match_batch(pool, trusted, places, places[owner], np.asarray(classes, np.int64), np.asarray(boxes, float))


def classes_of_pool(marked: ObjectPool, names: Sequence[str], path: Path) -> NDArray[np.int64]:
    """(n,) what the marked objects are called in the pool, by name; -1 for a class that it does not have.

    Raises:
        UserError: the labels lack a class of the pool.
    """
    import numpy as np

    missing = [name for name in names if name not in marked.classes]
    if missing:
        raise UserError(f'{path} has no class {missing}; it has {list(marked.classes)}, the pool {list(names)}. All '
                        f'classes of the pool must have been looked for: without them nothing is known about their '
                        f'proposals.')
    place = {name: index for index, name in enumerate(names)}
    table = np.array([*(place.get(name, -1) for name in marked.classes), -1], np.int64)
    return table[marked.obj_class]


def show(table: NextHour, minutes: float) -> None:
    """Print the table, the class worth most first, and what the best mix of images brings."""
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False, soft_wrap=True)
    console.width = max(console.width, TABLE_WIDTH)  # rather let the terminal wrap than break the words of a cell
    heads = ('class', 'labelled', 'precision', 'recall', 'modes seen', 'images', 'minutes', 'new modes', 'per minute')
    grid = Table(box=None, pad_edge=False)
    for head in heads:
        grid.add_column(head, justify='left' if head == 'class' else 'right')
    for row in sorted(table.classes, key=lambda row: -row.per_minute[0]):
        grid.add_row(*cells(row))
    console.print(f'what {minutes:g} minutes on one class alone bring (90 % intervals)')
    console.print(grid)
    console.print(f'all classes together: {len(table.images)} images in {table.minutes:g} minutes bring '
                  f'{sum(table.gains):.1f} new modes')


def cells(row: ClassWorth) -> list[str]:
    """A class as text."""
    return [row.name, str(row.labelled), _interval(row.precision, '.2f'), _interval(row.recall, '.2f'),
            f'{row.seen:.1f} of {row.modes}', str(len(row.images)), f'{row.minutes:.0f}',
            _interval(row.new_modes, '.1f'), _interval(row.per_minute, '.3f')]


def _interval(values: Interval, form: str) -> str:
    """mean [low, high]."""
    mean, low, high = (format(value, form) for value in values)
    return f'{mean} [{low}, {high}]'
