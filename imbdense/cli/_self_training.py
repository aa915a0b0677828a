"""The rounds of ``imbdense self-train``: what each one runs, keeps and reports."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imbdense.cli.main import UserError
from imbdense.utils.files import atomic_write_json, atomic_write_text

if TYPE_CHECKING:
    from mmengine.config import Config

    from imbdense.mm.pseudo_label.outputs import ImageFile
    from imbdense.mm.pseudo_label.union import UnionOptions

ROUND, TABLE, IMAGES, COUNTS = 'round.json', 'rounds.json', 'images.txt', 'class_counts.json'
INTERRUPTED = 130


@dataclass(frozen=True)
class Plan:
    """What is asked for.

    Attributes:
        config: of the base. images: the unlabelled ones. rounds: after the base.
        share: of each class that is kept, by round, or ``None``. flags: for `imbdense pseudo-label`.
        mine: whether rare classes are mined. seed: of every training. union: how pseudo-labels are learned.
    """

    config: Config
    images: list[ImageFile]
    rounds: int
    share: Callable[[int], float | None]
    flags: list[str]
    mine: bool
    seed: int
    union: UnionOptions

    def identity(self) -> dict[str, Any]:
        """What decides the result, but for the number of rounds."""
        return {
            'flags': self.flags, 'shares': [self.share(number) for number in (1, 2, 1000)], 'mine': self.mine,
            'seed': self.seed, 'union': asdict(self.union),
        }  # fmt: skip


class Rounds:
    """Runs the rounds that are not finished yet, in order.

    A round is finished when its ``round.json`` is there; a round that was stopped goes on, since each of its steps
    does (training: last checkpoint; labelling: saved predictions).

    Args:
        plan: see there. folder: of all rounds. execute: runs a verb, gives its exit code.
    """

    def __init__(self, plan: Plan, folder: Path, execute: Callable[[Sequence[str]], int]) -> None:
        self.plan, self.folder, self.execute = plan, folder, execute
        self.records: list[dict[str, Any]] = []

    def check(self) -> None:
        """See before hours of training whether the config can be trained on pseudo-labels.

        Raises:
            UnionError: it cannot.
        """
        self._union(self.folder / 'round_1', (0,) if self.plan.mine else ())

    def run(self) -> int:
        """All rounds; 0, or 1 when broken images were left out.

        Raises:
            UserError: a step failed; it has said why. KeyboardInterrupt: it was interrupted.
        """
        write_if_other(self.folder / IMAGES, ''.join(f'{image.path.resolve()}\n' for image in self.plan.images))
        for number in range(self.plan.rounds + 1):
            place = self.folder / f'round_{number}'
            if not (place / ROUND).is_file():
                self._round(number, place)
            self.records.append(json.loads((place / ROUND).read_text(encoding='utf-8')))
            atomic_write_json(self.folder / TABLE, self.records)
        return int(any(record['broken'] for record in self.records))

    def _round(self, number: int, place: Path) -> None:
        """Label (but for the base), train, and write down what came out."""
        from imbdense.benchmark.runs import validation_scores
        from imbdense.core.pseudo_label import rarely_predicted
        from imbdense.data.pseudo import REPORT
        from imbdense.mm.checkpoints import latest_checkpoint

        config, record = self.plan.config, {'round': number, 'broken': 0}
        if number:
            self._label(number, place / 'pseudo')
            report = json.loads((place / 'pseudo' / REPORT).read_text(encoding='utf-8'))
            steps = [step['left'] for step in report['table']['filters']]
            mined = rarely_predicted(steps[0]) if self.plan.mine else ()
            record = {
                'round': number, 'share': self.plan.share(number), 'classes': report['table']['classes'],
                'predicted': steps[0], 'kept': steps[-1], 'thresholds': report['thresholds'], 'mined': list(mined),
                'guards': report['guards'], 'warnings': report['warnings'], 'broken': len(report['broken']),
            }  # fmt: skip
            config = self._union(place, mined)
        write_if_other(place / 'config.py', config.pretty_text)
        arguments = ['train', str(place / 'config.py'), '--work-dir', str(place / 'train'), '--resume']
        self._step([*arguments, '--seed', str(self.plan.seed)], f'the training of round {number}', (0,))
        checkpoint = latest_checkpoint(place / 'train')
        if checkpoint is None:
            raise UserError(f'the training of round {number} left no checkpoint in {place / "train"}. Add a '
                            f'CheckpointHook to the config.')
        if number == 0:
            self._keep_counts(checkpoint)
        record |= {'checkpoint': str(checkpoint), 'scores': validation_scores(place / 'train')}
        atomic_write_json(place / ROUND, record)

    def _union(self, place: Path, mined: Sequence[int]) -> Config:
        """The config of the round in ``place``."""
        from imbdense.mm.pseudo_label.union import union_config

        return union_config(self.plan.config, self.folder / IMAGES, place / 'pseudo', self.plan.union, mined)

    def _label(self, number: int, out: Path) -> None:
        """`imbdense pseudo-label` with the model of the round before."""
        from imbdense.mm.checkpoints import latest_checkpoint

        before = self.folder / f'round_{number - 1}'
        model = str(latest_checkpoint(before / 'train'))
        share, counts = self.plan.share(number), self.folder / COUNTS
        more = [] if share is None else ['--portion', f'{share:.6g}']
        more += ['--class-counts', str(counts)] if counts.is_file() else []
        self._step(
            ['pseudo-label', str(before / 'config.py'), model, '--images', str(self.folder / IMAGES), '--out', str(out),
             *self.plan.flags, *more],
            f'the labelling of round {number}', (0, 1),
        )  # fmt: skip

    def _keep_counts(self, checkpoint: Path) -> None:
        """The counts of the labelled set, which rules go by in every round; later checkpoints hold merged ones."""
        from imbdense.mm.checkpoints import load_checkpoint
        from imbdense.mm.prior import META_KEY

        stored = (load_checkpoint(checkpoint).get('meta') or {}).get(META_KEY, {}).get('class_counts')
        if stored is not None:
            atomic_write_json(self.folder / COUNTS, stored)

    def _step(self, arguments: list[str], what: str, good: tuple[int, ...]) -> None:
        """Run a verb."""
        print(f'\n== {what}: imbdense {" ".join(arguments)}', flush=True)
        code = self.execute(arguments)
        if code == INTERRUPTED:
            raise KeyboardInterrupt
        if code not in good:
            raise UserError(f'{what} failed (exit code {code}; see above). Mend it and run the same command again: '
                            f'finished rounds are kept.')


def write_if_other(path: Path, text: str) -> None:
    """Write a file, or leave an equal one alone."""
    if not path.is_file() or path.read_text(encoding='utf-8') != text:
        atomic_write_text(path, text)


def round_table(records: Sequence[dict[str, Any]]) -> str:
    """A row per round: mean scores, then the IoU of each class and what was kept of its pseudo-labels."""
    scores = [name for name in ('mIoU', 'worst_IoU') if any(name in r['scores'] for r in records)]
    classes = next((record['classes'] for record in records if 'classes' in record), [])
    heads = ['round', 'share', *scores, *(f'{name}: IoU, kept' for name in classes)]
    rows = [heads]
    for record in records:
        share = record.get('share')
        row = [str(record['round']), '-' if share is None else f'{share:.2f}']
        row += [_number(record['scores'].get(name)) for name in scores]
        for place, name in enumerate(classes):
            kept = f'{record["kept"][place]}' if 'kept' in record else '-'
            mined = '*' if place in record.get('mined', ()) else ''
            row.append(f'{_number(record["scores"].get(f"IoU/{name}"))}, {kept}{mined}')
        rows.append(row)
    widths = [max(len(row[column]) for row in rows) for column in range(len(heads))]
    lines = ['  '.join(cell.rjust(width) for cell, width in zip(row, widths)) for row in rows]
    note = ['* mined: crops are drawn around it'] if any(record.get('mined') for record in records) else []
    return '\n'.join(['', *lines, *note])


def _number(value: float | None) -> str:
    """Four digits, or a dash."""
    return '-' if value is None else f'{value:.4f}'
