"""One round of ReDB during training: reliable (examined), diverse (thinned) and balanced (banked) pseudo-labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.dist import barrier

from imbdense.core.stats import ClassCounts
from imbdense.data.instance_bank import InstanceBank
from imbdense.data.instance_bank.bank import finished_rounds
from imbdense.data.pseudo import claim_folder
from imbdense.mm.pseudo_label.live import weights_digest
from imbdense.mm.pseudo_label.outputs import (
    SHARD_SIZE,
    ImageFile,
    Record,
    broken,
    deciding_network,
    images_fingerprint,
    save_predictions,
)
from imbdense.mm.pseudo_label.redb_filters import JudgedImage, judge, thin_and_count
from imbdense.mm.pseudo_label.redb_labels import load_memory, write_labels
from imbdense.mm.pseudo_label.redb_records import Host
from imbdense.mm.pseudo_label.redb_world import RoundWorld
from imbdense.mm.pseudo_label.rules import build_rule, defined_thresholds, fit_rule
from imbdense.utils.distributed import rank_and_world
from imbdense.utils.files import atomic_write_json
from imbdense.utils.stopwatch import Stopwatch

REPORT = 'pseudo_report.json'


@dataclass(frozen=True)
class ReDBOptions:
    """What a round does.

    Attributes:
        rule: config of a pseudo-label rule. min_score, min_size: least score and side of a box (pixels, or metres).
        examine: whether this round has an examination (CDE); examine_iou, examine_score: overlap and score at which a
            box counts as found again; on_reject: 'pool' = a rejected box only stays out of the bank, 'ignore' = it is
            no training label either.
        count_iou, count_topk: of the overlapped boxes counts (OBC). thin: class name -> rate >= 1 of the classes that
            are thinned. seed: of the thinning.
        memory: arguments of :class:`~imbdense.core.pseudo_label.MemoryEnsemble`, which merges the training labels of
            the rounds; ``None`` = every round stands alone. The bank takes the boxes of this round in any case.
    """

    rule: dict[str, Any]
    min_score: float = 0.05
    min_size: float = 1.0
    examine: bool = False
    examine_iou: float = 0.5
    examine_score: float = 0.05
    on_reject: str = 'pool'
    count_iou: float = 0.3
    count_topk: int = 1024
    thin: dict[str, float] = field(default_factory=dict)
    seed: int = 0
    memory: dict[str, Any] | None = None


def make_round(
    world: RoundWorld, images: Sequence[ImageFile], hosts: Sequence[Host], rounds: Path, bank: InstanceBank,
    number: int, options: ReDBOptions, labelled: ClassCounts, clock: Stopwatch,
) -> Path:  # fmt: skip
    """Predict, select, examine, thin, fill round ``number`` of ``bank``, write labels and report.

    Across ranks: all call it; images are shared, files are written once, the result does not depend on the number of
    ranks. A round that was stopped goes on; one that is complete (its report is written last) is left as it is.

    Args:
        world: the model, and what depends on the kind of data. images: unlabelled samples. hosts: labelled ones.
        rounds: folder of all rounds. labelled: counts of the labelled set, for rules that follow them.
        clock: gets the seconds of this rank: predict, count (OBC), examine (CDE), thin, bank, labels.

    Returns:
        The folder of the round.

    Raises:
        SidecarError: the folder holds a round of other weights, images or options. ValueError: no image could be read,
            or the memory of the round before is missing.
    """
    folder = rounds / f'round_{number:03d}'
    identity = {
        'round': number, 'weights': weights_digest(deciding_network(world.model)), 'options': asdict(options),
        'images': images_fingerprint(images), 'labelled': labelled.of('instances').tolist(),
    }  # fmt: skip
    claim_folder(folder, identity)
    if (folder / REPORT).is_file():
        return folder
    memory = None
    if options.memory is not None:
        memory = load_memory(world.memory(options.memory), number, rounds / f'round_{number - 1:03d}')
    with world.evaluating():
        with clock.measure('predict'):
            record = partial(world.counted, iou_thr=options.count_iou, topk=options.count_topk, clock=clock)
            store = save_predictions(world, images, folder / 'outputs', identity, _silent, record)
            barrier()
        failed = broken(store, images)
        if len(failed) == len(images):
            raise ValueError(f'none of the {len(images)} unlabelled images could be predicted; the first: '
                             f'{next(iter(failed.values()))}')
        rule = build_rule(options.rule, len(world.classes), labelled)
        fit_rule(rule, store, images, options.min_score)
        judged, steps = judge(store, images, rule, options.min_score, options.min_size, world.sides)
        if options.examine:
            with clock.measure('examine'):
                _examine(world, judged, hosts, folder / 'examination', identity, options)
    with clock.measure('thin'):
        table = thin_and_count(world.classes, steps, judged, options.examine, options.thin, options.seed)
    with clock.measure('bank'):
        _fill_bank(world, judged, bank, number, identity)
    if rank_and_world()[0] == 0:
        with clock.measure('labels'):
            write_labels(folder, judged, world.to_json, options.on_reject, memory)
        report = {
            'round': number, 'images': len(judged), 'broken': failed, 'table': table.to_dict(),
            'thresholds': defined_thresholds(rule, dict(table.steps)['minimum score']),
            'bank': InstanceBank.open(bank.folder, 'union', number).counts.tolist(),
        }  # fmt: skip
        atomic_write_json(folder / REPORT, report)
    barrier()
    return folder


def _examine(
    world: RoundWorld, judged: list[JudgedImage], hosts: Sequence[Host], folder: Path, identity: dict[str, Any],
    options: ReDBOptions,
) -> None:  # fmt: skip
    """Accept the positive boxes that are found again. An image that fails here has none."""
    if not hosts:
        raise ValueError('the examination needs labelled images; the labelled part of the data set has none.')
    by_name = {one.image.name: one for one in judged}

    def make(image: ImageFile) -> Record:
        one = by_name[image.name]
        return world.examined(image, one.record, one.status == 1, hosts, options.examine_iou, options.examine_score)

    images = [one.image for one in judged]
    store = save_predictions(world, images, folder, identity, _silent, make)
    barrier()
    for one, record in zip(judged, store.records()):
        one.accepted = record.get('accepted', np.zeros(len(one.status), bool))


def _fill_bank(
    world: RoundWorld, judged: list[JudgedImage], bank: InstanceBank, number: int, identity: dict[str, Any]
) -> None:
    """Cut the chosen boxes out; a finished round is left as it is."""
    done = number in finished_rounds(bank.folder)
    barrier()
    if done:
        return
    rank, ranks = rank_and_world()
    writer = bank.start_round(identity, number)
    for shard, start in enumerate(range(0, len(judged), SHARD_SIZE)):
        name = f'images_{shard:06d}'
        if shard % ranks == rank and not writer.has(name):
            writer.write(name, (item for one in judged[start : start + SHARD_SIZE] for item in world.objects(one)))
    barrier()
    if rank == 0:
        writer.finish()
    barrier()


def _silent(done: int, total: int) -> None:
    """A round inside a training shows no bar of its own."""
