"""Choose images out of an object pool.

  imbdense select run configs/selection/k_center.py --pool pool --budget 200 --out sel.json
  imbdense select run --type imbdense.RandomSelector --pool pool --budget 200 --out sel.json
  imbdense select run selector.py --pool pool --budget 100 --selected labelled.txt --out next.json

The selector config is a Python file with ``selector = dict(type='imbdense.X', ...)``. --selected names the images that
are labelled already: the last sel.json (what it chose and what was labelled before it), a COCO json, a JSON list, or a
text file with one name per line. sel.json holds the images in order, each with its gain and the reason, the selector,
the seed and the pool's fingerprint.

One process is enough. Started on several ranks (torchrun, SLURM) the first one chooses and writes; the others end at
once.
"""

from __future__ import annotations

import argparse
import math
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imbdense.cli._explain import explained
from imbdense.cli._numbers import seed_number
from imbdense.cli._outputs import keep_inputs
from imbdense.cli._runner import parse_options
from imbdense.cli.main import UserError

if TYPE_CHECKING:
    from mmengine.config import Config

    from imbdense.core.selection import ObjectPool, Selection, Selector


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Selector, pool, budget."""
    parser.add_argument('config', nargs='?', type=Path, metavar='SELECTOR-CONFIG', help='Python file with selector = '
                        'dict(...)')
    parser.add_argument('--type', metavar='NAME', help='selector without a config, for example imbdense.RandomSelector')
    parser.add_argument('--options', nargs='+', default=[], metavar='KEY=VALUE', help="the selector's arguments, or "
                        'changes of those in the config')
    parser.add_argument('--pool', type=Path, required=True, metavar='DIR', help='made by `imbdense select pool`')
    parser.add_argument('--budget', type=budget, required=True, metavar='B', help='number of new images, or minutes '
                        'for a selector that counts them (CostAware, OFDS with a cost)')
    parser.add_argument('--selected', type=Path, metavar='FILE', help='images that are labelled already')
    parser.add_argument('--seed', type=seed_number, default=0, help='of everything drawn (0)')
    parser.add_argument('--out', type=Path, required=True, metavar='FILE', help='for example sel.json')
    parser.add_argument('--traceback', action='store_true', help='show the whole traceback of an error')


def budget(text: str) -> int | float:
    """A whole number where it is one: only minutes may be broken."""
    try:
        number = float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f'must be a number of images or minutes, for example 200, but is {text!r}') from None
    return int(number) if number.is_integer() else number


def run(args: argparse.Namespace) -> int:
    """Select, write, print."""
    from imbdense.utils.distributed import launched_rank

    if not 0 <= args.budget < math.inf:
        raise UserError(f'--budget must be at least 0, but is {args.budget}.')
    if launched_rank(os.environ)[0]:
        return 0
    keep_inputs(args.out, args.config, args.selected)
    settings = selector_settings(args)
    with explained(str(args.config or args.type), args.traceback):
        from imbdense.data.object_pool import open_pool
        from imbdense.data.selection import match_names, read_names, selection_record
        from imbdense.registry import SELECTORS
        from imbdense.utils.files import atomic_write_json

        pool = open_pool(args.pool)
        selected: list[int] = []
        if args.selected is not None:
            names = read_names(args.selected)
            selected = match_names(names, pool.image_ids, what='selected images', where=str(args.pool))
        selector: Selector = SELECTORS.build(settings)
        if not selector.counts_minutes and not isinstance(args.budget, int):
            raise UserError(f'--budget is a number of images for {settings["type"]}, but is {args.budget}. Minutes are '
                            f'counted by OFDS with a cost and by CostAware.')
        selection = selector(pool, args.budget, selected, args.seed)
        record = selection_record(
            selection, pool, budget=args.budget, selected=[pool.image_ids[index] for index in selected],
            pool_path=str(args.pool),
        )  # fmt: skip
        atomic_write_json(args.out, record)
        show(pool, selection, selected)
    print(f'written to {args.out}')
    return 0


def selector_settings(args: argparse.Namespace) -> dict[str, Any]:
    """``dict(type=..., ...)`` of the selector.

    Raises:
        UserError: neither or both of config and --type, no such file, or a file without a selector.
    """
    if (args.config is None) == (args.type is None):
        raise UserError("give a SELECTOR-CONFIG or --type, for example --type imbdense.RandomSelector "
                        '(`imbdense list selector` shows all).')
    from mmengine.config import Config

    config = Config(dict(selector=dict(type=args.type))) if args.config is None else _read_config(args)
    options = parse_options(args.options, '--options')
    config.merge_from_dict({f'selector.{key}': value for key, value in options.items()})
    return config.selector.to_dict()


def _read_config(args: argparse.Namespace) -> Config:
    """The file that holds a selector."""
    from mmengine.config import Config

    from imbdense.cli._runner import find_config

    path = find_config(str(args.config))
    try:
        config = Config.fromfile(str(path))
    except Exception as error:  # a config is a program: anything can be raised
        if args.traceback:
            raise
        raise UserError(f'{path} is not a valid config: {type(error).__name__}: {error}') from error
    if not isinstance(config.get('selector'), dict) or 'type' not in config.selector:
        raise UserError(f"{path} holds no selector = dict(type='imbdense.X', ...).")
    return config


def show(pool: ObjectPool, selection: Selection, selected: list[int]) -> None:
    """Images that show each class: in the pool, labelled before, chosen now; and what was unusual."""
    import numpy as np

    rows = [('class', 'pool', 'selected', 'chosen')]
    groups = [np.arange(pool.num_images), np.array(selected, np.int64), selection.images]
    for index, name in enumerate(pool.classes):
        showing = np.unique(np.asarray(pool.obj_image)[pool.rows_of_class(index)])
        rows.append((name, *(str(int(np.isin(showing, group).sum())) for group in groups)))  # type: ignore[arg-type]
    width = max(len(row[0]) for row in rows)
    if pool.classes:
        print('images that show a class')
        for row in rows:
            print(f'{row[0]:<{width}}  ' + '  '.join(f'{cell:>8}' for cell in row[1:]))
    for note in selection.notes:
        print(f'note: {note}')
    print(f'{len(selection)} images chosen of {pool.num_images}, cost {selection.cost:g}')
