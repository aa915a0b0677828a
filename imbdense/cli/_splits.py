"""CONFIG of `stats` and `check`: a config file, a data set folder, or a COCO json."""

from __future__ import annotations

import argparse
import importlib.util
import os
from pathlib import Path

from imbdense.cli.main import UserError
from imbdense.data.checks.splits import Split


def add_source_arguments(parser: argparse.ArgumentParser) -> None:
    """CONFIG and what belongs to it."""
    parser.add_argument('config', metavar='CONFIG', help='config of mmseg or mmdet, data set folder, or COCO json')
    parser.add_argument('--split', nargs='+', metavar='NAME', help='train, val, test; default those that are there')
    parser.add_argument('--classes', nargs='+', metavar='NAME', help='class names, for folders that do not tell them')
    parser.add_argument('--task', choices=('segmentation', 'detection'), help='for folders that hold masks and boxes')


def open_splits(args: argparse.Namespace) -> list[Split]:
    """The splits that the arguments name.

    Raises:
        UserError: no such file, no such split, or the data set cannot be opened.
    """
    from imbdense.data.checks.folders import folder_splits, looks_like_coco
    from imbdense.data.readers.errors import LabelReadError

    path = Path(args.config)
    if not path.exists():
        path = _shipped(path)
    try:
        if path.is_dir() or looks_like_coco(path):
            found = folder_splits(path, args.classes, args.task)
            chosen = [split for split in found if not args.split or split.name in args.split]
            if not chosen:
                raise UserError(f'{path} has no split {args.split}; it has {[split.name for split in found]}.')
            order = {'train': 0, 'trainval': 1, 'val': 2, 'test': 3}
            return sorted(chosen, key=lambda split: order.get(split.name, 4))
        if importlib.util.find_spec('mmengine') is None:
            raise UserError(
                'a config needs mmengine and mmseg or mmdet, which are not installed here. Install them '
                '(pip install imbdense[mm]; `imbdense doctor` helps), or give the data set folder instead.'
            )
        from imbdense.mm.datasets.config_splits import config_splits

        return config_splits(path, args.split)
    except (LabelReadError, TypeError, ValueError, FileNotFoundError) as error:
        raise UserError(str(error)) from error


def _shipped(path: Path) -> Path:
    """A config relative to the folder ``configs`` of the checkout, as the other verbs take it."""
    from imbdense.cli._runner import find_config

    try:
        return find_config(str(path))
    except UserError as error:
        said = f'{path} does not exist (looked from {os.getcwd()}). Give a config, a folder or a COCO json.'
        _, near, names = str(error).partition(' Did you mean')
        raise UserError(said + near + names) from error
