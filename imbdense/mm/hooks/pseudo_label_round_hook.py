"""``imbdense.PseudoLabelRoundHook``."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mmengine.hooks import Hook
from mmengine.logging import MMLogger
from mmengine.runner import EpochBasedTrainLoop

from imbdense.core.checks import check_choice, check_number
from imbdense.core.pseudo_label import MemoryEnsemble, ProgressiveQuota
from imbdense.core.pseudo_label.quota import round_of_epoch
from imbdense.data.instance_bank import InstanceBank
from imbdense.mm.datasets.label_source import dataset_classes
from imbdense.mm.datasets.semi_dataset import SemiDataset
from imbdense.mm.datasets.statistics import class_counts
from imbdense.mm.freezing import unwrapped
from imbdense.mm.prior import META_KEY
from imbdense.mm.pseudo_label.redb_round import REPORT, ReDBOptions, make_round
from imbdense.mm.pseudo_label.redb_world import RoundWorld, read_round, transforms_of
from imbdense.mm.schedules import restart_schedules
from imbdense.mm.transforms.bank_draw import BankDraw
from imbdense.registry import HOOKS
from imbdense.utils.stopwatch import Stopwatch

PLACE = 'pseudo_round'


@HOOKS.register_module()
class PseudoLabelRoundHook(Hook):
    """Make pseudo-labels in rounds between epochs, and a bank of reliable, diverse, class-balanced objects (ReDB).

    Before the first epoch of a round r: predict the unlabelled part of ``imbdense.SemiDataset`` in evaluation mode;
    sort the boxes by the rule; examine the positive ones (CDE, in the rounds ``cde['rounds']``); thin listed classes
    (OBC); write what is left as round r of an instance bank, and the labels of all images for
    :class:`~imbdense.mm.detectors.ReDBDetector`, or boxes in space for :class:`~imbdense.mm.detectors.ReDB3D`. Every
    ``imbdense.BankPaste`` (``BankPaste3d``) of the training pipelines that uses the
    bank gets the quota ``k_target(r)``, and those that use ``source_bank`` (ground truth) ``k_source(r)``.

    Files, in ``work_dir/pseudo_rounds/round_000``: labels (COCO), a report with the counts of each class after every
    filter, the saved predictions. **Resume**: a complete round is not made again; an interrupted one goes on. Round
    number and checksum of the bank lie in the checkpoint, and another bank is an error. **Ranks**: the images are
    shared, every rank ends with the same labels and bank. Epoch-based loops only. An unlabelled image that cannot be
    read is named and left out of the training until the next round. After training the log tells how long the rounds
    took.

    Args:
        rounds: first epoch of each round, rising.
        rule: pseudo-label rule, as in :class:`~imbdense.mm.detectors.MeanTeacherDetector`; ``round_steps=None`` for
            rules that think in rounds. Rules that need the counts of the labelled set get them.
        bank: folder of the bank; default ``work_dir/pseudo_bank``. source_bank: folder of a bank of ground truth.
        cde: ``dict(iou_thr=0.5, score_thr=0.05, rounds=[0], on_reject='pool')``, or ``None`` = no examination. 'pool':
            a rejected box only stays out of the bank, as published; 'ignore': its place is ignored in training too.
        obc: ``dict(iou_thr=0.3, topk=1024, rate={'car': 5})``, or ``None`` = no thinning.
        quota: arguments of :class:`~imbdense.core.pseudo_label.ProgressiveQuota`.
        memory: arguments of :class:`~imbdense.core.pseudo_label.MemoryEnsemble` (``{}`` = as published in ST3D): the
            training labels of a round are merged with those of the rounds before, so that an object that one round
            misses stays. The bank takes what this round has found. ``None`` = every round stands alone, as in ReDB.
        restart_schedule: begin ``param_scheduler`` anew with every round, as published; it is then written for the
            length of one round. Weights and the optimiser's averages go on.
        min_score, min_size: least score and side of a box; default 1 pixel in images, nothing in space.
        seed: of the thinning and of the bank.

    Raises:
        ValueError: unknown keys, numbers out of range; before training: another loop, model or data set.

    Source: Chen et al., ReDB, ICCV 2023; the two-dimensional form is ours.
    """

    card = 'redb_detector'
    tasks = ('detection',)
    priority = 'HIGH'  # the bank must be there before ClassCountHook asks BankPaste what it pastes

    def __init__(
        self,
        rounds: Sequence[int],
        rule: dict[str, Any],
        bank: str | None = None,
        source_bank: str | None = None,
        cde: Mapping[str, Any] | None = None,
        obc: Mapping[str, Any] | None = None,
        quota: Mapping[str, int] | None = None,
        memory: Mapping[str, Any] | None = None,
        restart_schedule: bool = False,
        min_score: float = 0.05,
        min_size: float | None = None,
        seed: int = 0,
    ) -> None:
        name = 'PseudoLabelRoundHook'
        round_of_epoch(0, rounds)
        self.rounds = list(rounds)
        self.bank_folder, self.source_bank = bank, source_bank
        examined = _known(cde or {}, {'iou_thr': 0.5, 'score_thr': 0.05, 'rounds': [0], 'on_reject': 'pool'}, 'cde')
        counted = _known(obc or {}, {'iou_thr': 0.3, 'topk': 1024, 'rate': {}}, 'obc')
        check_choice('cde on_reject', examined['on_reject'], ('pool', 'ignore'), owner=name)
        self.examined_rounds = set() if cde is None else set(examined['rounds'])
        self.quota = ProgressiveQuota(**dict(quota or {'k0_src': 1, 'reduce': 0, 'k0_tgt': 1, 'grow': 0}))
        if memory is not None:
            MemoryEnsemble(**memory)  # its arguments are checked here rather than after the first round
        self.restart_schedule = bool(restart_schedule)
        self.settings = {
            'rule': dict(rule), 'min_score': check_number('min_score', min_score, low=0.0, high=1.0, owner=name),
            'examine_iou': examined['iou_thr'], 'examine_score': examined['score_thr'],
            'on_reject': examined['on_reject'], 'count_iou': counted['iou_thr'], 'count_topk': counted['topk'],
            'thin': dict(counted['rate']), 'seed': int(seed), 'memory': None if memory is None else dict(memory),
        }  # fmt: skip
        self.min_size = None if min_size is None else check_number('min_size', min_size, low=0.0, owner=name)
        self._active: int | None = None
        self._saved: dict[str, Any] | None = None
        self._checksum = ''
        self._clock = Stopwatch()

    def before_train(self, runner: Any) -> None:
        """Check loop, model and data; open the bank."""
        self._start = time.perf_counter()
        dataset, model = runner.train_dataloader.dataset, unwrapped(runner.model)
        problem = None
        if not isinstance(runner.train_loop, EpochBasedTrainLoop):
            problem = 'it needs an EpochBasedTrainLoop, since data workers see a new round only in a new epoch'
        elif not isinstance(dataset, SemiDataset):
            problem = f'it needs imbdense.SemiDataset, but the training data are {type(dataset).__name__}'
        elif not hasattr(model, 'round_world'):
            problem = f'{type(model).__name__} takes no labels in rounds; use imbdense.ReDBDetector or imbdense.ReDB3D'
        elif self.restart_schedule and not runner.cfg.get('param_scheduler'):
            problem = 'restart_schedule needs a param_scheduler, of the length of one round'
        unknown = set(self.settings['thin']) - set(dataset_classes(dataset)) if problem is None else set()
        if problem or unknown:
            raise ValueError(f'PseudoLabelRoundHook: {problem or f"obc rate names unknown classes {sorted(unknown)}"}.')
        classes = dataset_classes(dataset)
        folder = Path(self.bank_folder or Path(runner.work_dir) / 'pseudo_bank')
        self.world: RoundWorld = model.round_world(runner.cfg, classes)
        self.bank = InstanceBank.create(folder, classes, self.world.modality, seed=self.settings['seed'])
        self.labelled = class_counts(dataset)
        self.images = self.world.samples(dataset)

    def before_train_epoch(self, runner: Any) -> None:
        """Make or enter the round this epoch belongs to."""
        number = round_of_epoch(runner.epoch, self.rounds)
        if number < 0 or number == self._active:
            return
        rounds = Path(runner.work_dir) / 'pseudo_rounds'
        folder = rounds / f'round_{number:03d}'
        if runner.epoch == self.rounds[number]:
            size = self.world.min_size if self.min_size is None else self.min_size
            options = ReDBOptions(**self.settings, min_size=size, examine=number in self.examined_rounds)
            hosts = self.world.hosts(runner.train_dataloader.dataset) if options.examine else []
            with self._clock.measure('rounds'):
                make_round(
                    self.world, self.images, hosts, rounds, self.bank, number, options, self.labelled, self._clock
                )
            if self.restart_schedule:
                restart_schedules(runner)
        elif not (folder / REPORT).is_file():
            raise ValueError(
                f'PseudoLabelRoundHook: epoch {runner.epoch} belongs to round {number}, but {folder} is not complete. '
                f'Resume from a checkpoint of epoch {self.rounds[number]} or earlier.'
            )
        self._enter(runner, number, folder)

    def after_train(self, runner: Any) -> None:
        """Tell what the rounds cost: seconds of each part on this rank, and their share of the training."""
        spent = self._clock.seconds
        whole = time.perf_counter() - self._start
        MMLogger.get_current_instance().info(
            f'PseudoLabelRoundHook: rounds {100 * spent.get("rounds", 0.0) / whole:.1f} % of {whole:.1f} s; '
            f'{self._clock}.'
        )

    def before_save_checkpoint(self, runner: Any, checkpoint: dict[str, Any]) -> None:
        """Remember the round and the bank."""
        if self._active is not None:
            record = {'round': self._active, 'bank': self._checksum}
            checkpoint['meta'].setdefault(META_KEY, {})[PLACE] = record

    def after_load_checkpoint(self, runner: Any, checkpoint: dict[str, Any]) -> None:
        """What the run was in; compared when the round is entered."""
        self._saved = ((checkpoint.get('meta') or {}).get(META_KEY) or {}).get(PLACE)

    def _enter(self, runner: Any, number: int, folder: Path) -> None:
        """Labels to the model, quotas to the transforms, and workers that know of both."""
        opened = InstanceBank.open(self.bank.folder, 'union', number)
        saved, self._saved = self._saved, None
        if saved is not None and saved['round'] == number and saved['bank'] != opened.checksum:
            raise ValueError(
                f'PseudoLabelRoundHook: {self.bank.folder} is not the bank this checkpoint was trained with.'
            )
        self._active, self._checksum = number, opened.checksum
        labels, dataset = read_round(self.world, folder, self.images), runner.train_dataloader.dataset
        self.world.hand_over(dataset, labels)
        self._leave_out_broken(dataset, labels)
        for paste in transforms_of(dataset, BankDraw):
            if _same(paste.folder, self.bank.folder):
                paste.set_round(number, self.quota.target(number))
            elif self.source_bank is not None and _same(paste.folder, self.source_bank):
                paste.quota = self.quota.source(number)
        runner.train_dataloader._iterator = None  # persistent workers hold the transforms as they were
        counts = ', '.join(f'{name} {count}' for name, count in zip(self.bank.classes, opened.counts))
        MMLogger.get_current_instance().info(
            f'PseudoLabelRoundHook: round {number}; objects in the bank: {counts}; per image and class '
            f'{self.quota.source(number)} labelled and {self.quota.target(number)} pseudo-labelled ones.'
        )

    def _leave_out_broken(self, dataset: SemiDataset, labels: Mapping[str, Any]) -> None:
        """Images without labels could not be read."""
        broken = [str(image.path) for image in self.images if str(image.path) not in labels]
        dataset.leave_out(broken)
        if broken:
            more = f' and {len(broken) - 3} more' if len(broken) > 3 else ''
            MMLogger.get_current_instance().warning(
                f'PseudoLabelRoundHook: {", ".join(broken[:3])}{more} could not be predicted (the reasons are in '
                f'{REPORT}) and are left out of the training until the next round.'
            )


def _known(given: Mapping[str, Any], defaults: dict[str, Any], name: str) -> dict[str, Any]:
    """Defaults with what is given; other keys are an error."""
    unknown = sorted(set(given) - set(defaults))
    if unknown:
        raise ValueError(f'PseudoLabelRoundHook: {name} has no {unknown}; known are {sorted(defaults)}.')
    return {**defaults, **given}


def _same(first: str | Path, second: str | Path) -> bool:
    """Whether two paths are one folder."""
    return os.path.realpath(first) == os.path.realpath(second)
