"""``imbdense generate bank``: cut the annotated objects of a data set out, for ``imbdense.BankPaste``."""

from __future__ import annotations

import argparse
from typing import Any

from imbdense.cli._numbers import seed_number, whole
from imbdense.cli.main import UserError

DESCRIPTION = """Cut the annotated objects of a config's training images out and keep them on disk, by class.

Objects are instances (with their masks where the annotation has them) or connected regions of a label map; of point
clouds the points in annotated boxes, instances, or connected points of one class. Images are loaded by the config's own
loading transforms. Several GB are no matter: the bank is read memory-mapped. A killed run goes on where it stopped. Use
it with dict(type='imbdense.BankPaste', bank=DIR), for clouds imbdense.BankPaste3d (boxes) or imbdense.RebalancedPartMix
(labels of points), after the loading transforms."""


def add_bank_arguments(kinds: Any) -> None:
    """Add the sub-command ``bank``."""
    from imbdense.cli._runner import add_config_arguments

    bank = kinds.add_parser('bank', help='cut-out objects of a data set, for imbdense.BankPaste',
                            formatter_class=argparse.RawDescriptionHelpFormatter, description=DESCRIPTION)
    add_config_arguments(bank)
    bank.add_argument('--out', required=True, metavar='DIR', help='folder of the bank')
    bank.add_argument('--split', default='train', choices=('train', 'val', 'test'), help='whose images (train)')
    bank.add_argument('--classes', nargs='+', metavar='NAME', help='only these classes')
    bank.add_argument('--capacity', type=int, default=1000, metavar='N', help='most objects per class (1000)')
    bank.add_argument('--min-area', type=whole(1), default=16, metavar='N', help='least pixels or points (16)')
    bank.add_argument('--seed', type=seed_number, default=0, help='which objects stay of a class above --capacity')


def run_bank(args: argparse.Namespace) -> int:
    """Make the bank; 0 when it is complete, also when it was complete before."""
    from imbdense.cli._explain import explained
    from imbdense.cli._runner import load_config
    from imbdense.data.instance_bank import BankError

    config = load_config(args, model=False)
    with explained(args.config, args.traceback):
        try:
            bank = _made(args, config)
        except (BankError, ValueError, TypeError, OSError) as error:
            if args.traceback:
                raise
            raise UserError(str(error)) from error
    _print(bank)
    return 0


def _made(args: argparse.Namespace, config: Any) -> Any:
    """The bank, filled unless it is complete already."""
    from imbdense.cli._outputs import progress_line
    from imbdense.data.instance_bank import InstanceBank
    from imbdense.mm.datasets.bank_round import bank_modality, fill_round, round_identity
    from imbdense.mm.datasets.label_source import dataset_classes

    dataset = _dataset(config, args.split)
    names = dataset_classes(dataset)
    chosen = _indices(args.classes, names)
    modality = bank_modality(dataset)
    bank = InstanceBank.create(args.out, names, modality, args.capacity, args.seed)
    identity = round_identity(dataset, chosen, args.min_area, args.seed)
    if 0 in bank.rounds:
        bank.check_round(identity, number=0)
        print(f'{args.out} is complete already; remove it to make it anew.')
        return bank
    writer = bank.start_round(identity, number=0)
    with progress_line('cut objects') as progress:
        fill_round(dataset, writer, classes=chosen, min_area=args.min_area, seed=args.seed, progress=progress)
    writer.finish()
    return bank.reopened()


def _dataset(config: Any, split: str) -> Any:
    """The data set of a split, built and with its records loaded."""
    from mmengine.registry import DATASETS, init_default_scope

    loader = config.get(f'{split}_dataloader')
    if not loader or not loader.get('dataset'):
        raise UserError(f'{config.filename} has no {split}_dataloader with a dataset; choose with --split.')
    init_default_scope(config.get('default_scope') or 'mmengine')
    return DATASETS.build(loader.dataset)


def _indices(wanted: list[str] | None, names: tuple[str, ...]) -> list[int] | None:
    """Class names → indices."""
    unknown = [name for name in wanted or () if name not in names]
    if unknown:
        raise UserError(f'--classes: there is no class {unknown}; the data set has {list(names)}.')
    return None if wanted is None else [names.index(name) for name in wanted]


def _print(bank: Any) -> None:
    """Objects per class, and the checksum."""
    width = max(map(len, bank.classes))
    print(f'{"class":<{width}}  objects')
    for name, count in sorted(zip(bank.classes, bank.counts.tolist()), key=lambda item: -item[1]):
        print(f'{name:<{width}}  {count:7d}')
    print(f'{bank.folder}: {len(bank)} objects, checksum {bank.checksum[:16]}')
