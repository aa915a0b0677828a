"""One round of ReDB during training: reliable (examined), diverse (thinned) and balanced (banked) pseudo-labels."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.dist import barrier
from numpy.typing import NDArray

from imbdense.core.pseudo_label import PseudoLabeler, inverse_density_subsample
from imbdense.data.instance_bank import BankObject, InstanceBank, cut_instances
from imbdense.data.instance_bank.bank import finished_rounds
from imbdense.data.outputs.store import OutputStore
from imbdense.data.pseudo import FilterTable, PseudoBoxes, claim_folder, coco_record
from imbdense.mm.pseudo_label.boxes import STEPS, pseudo_boxes, sort_boxes
from imbdense.mm.pseudo_label.live import LiveModel, weights_digest
from imbdense.mm.pseudo_label.outputs import (
    SHARD_SIZE,
    ImageFile,
    Record,
    broken,
    deciding_network,
    images_fingerprint,
    readable,
    save_predictions,
)
from imbdense.mm.pseudo_label.redb_records import Host, counted_record, examined_record
from imbdense.mm.pseudo_label.rules import build_rule, defined_thresholds, fit_rule
from imbdense.utils.distributed import rank_and_world
from imbdense.utils.files import atomic_write_json

LABELS, REPORT = 'pseudo_labels.json', 'pseudo_report.json'


@dataclass(frozen=True)
class ReDBOptions:
    """What a round does.

    Attributes:
        rule: config of a pseudo-label rule. min_score, min_size: least score and side (pixels) of a box.
        examine: whether this round has an examination (CDE); examine_iou, examine_score: overlap and score at which a
            box counts as found again; on_reject: 'pool' = a rejected box only stays out of the bank, 'ignore' = it is
            no training label either.
        count_iou, count_topk: of the overlapped boxes counts (OBC). thin: class name -> rate >= 1 of the classes that
            are thinned. seed: of the thinning.
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


@dataclass
class _Judged:
    """An image: its record, status of its boxes, those accepted and those that go into the bank."""

    image: ImageFile
    record: Record
    status: NDArray[np.int8]
    accepted: NDArray[np.bool_]
    banked: NDArray[np.bool_]


def make_round(
    live: LiveModel, images: Sequence[ImageFile], hosts: Sequence[Host], folder: Path, bank: InstanceBank, number: int,
    options: ReDBOptions,
) -> None:  # fmt: skip
    """Predict, select, examine, thin, fill round ``number`` of ``bank``, write labels and report into ``folder``.

    Across ranks: all call it; images are shared, files are written once, the result does not depend on the number of
    ranks. A round that was stopped goes on; one that is complete (its report is written last) is left as it is.

    Raises:
        SidecarError: the folder holds a round of other weights, images or options. ValueError: no image could be read.
    """
    identity = {
        'round': number, 'weights': weights_digest(deciding_network(live.model)), 'options': asdict(options),
        'images': images_fingerprint(images),
    }  # fmt: skip
    claim_folder(folder, identity)
    if (folder / REPORT).is_file():
        return
    with live.evaluating():
        record = partial(_counted, live, options)
        store = save_predictions(live, images, folder / 'outputs', identity, _silent, record)
        barrier()
        failed = broken(store, images)
        if len(failed) == len(images):
            raise ValueError(f'none of the {len(images)} unlabelled images could be predicted; the first: '
                             f'{next(iter(failed.values()))}')
        rule = build_rule(options.rule, len(live.classes))
        fit_rule(rule, store, images, options.min_score)
        judged, steps = _judge(store, images, rule, options)
        if options.examine:
            _examine(live, judged, hosts, folder / 'examination', identity, options)
    table = _filter_table(live.classes, steps, judged, options)
    _fill_bank(live, judged, bank, number, identity)
    if rank_and_world()[0] == 0:
        atomic_write_json(folder / LABELS, coco_record(list(_training_labels(judged, options)), live.classes))
        report = {
            'round': number, 'images': len(judged), 'broken': failed, 'table': table.to_dict(),
            'thresholds': defined_thresholds(rule, dict(table.steps)['minimum score']),
            'bank': InstanceBank.open(bank.folder, 'union', number).counts.tolist(),
        }  # fmt: skip
        atomic_write_json(folder / REPORT, report)
    barrier()


def read_labels(folder: Path, images: Sequence[ImageFile]) -> dict[str, PseudoBoxes]:
    """Path of an image -> its labels of a complete round; broken images are not in it."""
    content = json.loads((folder / LABELS).read_text(encoding='utf-8'))
    own: dict[int, list[dict[str, Any]]] = {image['id']: [] for image in content['images']}
    for item in content['annotations']:
        own[item['image_id']].append(item)
    path_of = {image.file_name: str(image.path) for image in images}
    return {path_of[image['file_name']]: _read_boxes(image, own[image['id']]) for image in content['images']}


def _read_boxes(image: Mapping[str, Any], items: Sequence[Mapping[str, Any]]) -> PseudoBoxes:
    """The labels of one image of a COCO file."""
    corners = np.array([item['bbox'] for item in items], np.float32).reshape(-1, 4)
    corners[:, 2:] += corners[:, :2]
    return PseudoBoxes(
        image['file_name'], (image['height'], image['width']), corners,
        np.array([item['category_id'] - 1 for item in items], np.int64),
        np.array([item['score'] for item in items], np.float32), np.array([item['iscrowd'] for item in items], bool),
    )  # fmt: skip


def _counted(live: LiveModel, options: ReDBOptions, image: ImageFile) -> Record:
    """The record of one image."""
    return counted_record(live, image, options.count_iou, options.count_topk)


def _judge(
    store: OutputStore, images: Sequence[ImageFile], rule: PseudoLabeler, options: ReDBOptions
) -> tuple[list[_Judged], NDArray[np.int64]]:
    """Every readable image sorted by the rule, and the counts (5, C) of the filters so far."""
    classes = len(store.manifest['classes'])
    steps, judged = np.zeros((len(STEPS), classes), np.int64), []
    for image, record in readable(store, images):
        status, filters = sort_boxes(record, rule, options.min_score, options.min_size)
        for step, mask in enumerate(filters):
            steps[step] += np.bincount(record['labels'][mask], minlength=classes)
        judged.append(_Judged(image, record, status, status == 1, status == 1))
    return judged, steps


def _examine(
    live: LiveModel, judged: list[_Judged], hosts: Sequence[Host], folder: Path, identity: dict[str, Any],
    options: ReDBOptions,
) -> None:  # fmt: skip
    """Accept the positive boxes that are found again. An image that fails here has none."""
    if not hosts:
        raise ValueError('the examination needs labelled images; the labelled part of the data set has none.')
    by_name = {one.image.name: one for one in judged}

    def make(image: ImageFile) -> Record:
        one = by_name[image.name]
        return examined_record(live, image, one.record, one.status == 1, hosts, options.examine_iou,
                               options.examine_score)

    images = [one.image for one in judged]
    store = save_predictions(live, images, folder, identity, _silent, make)
    barrier()
    for one, record in zip(judged, store.records()):
        one.accepted = record.get('accepted', np.zeros(len(one.status), bool))


def _filter_table(
    classes: Sequence[str], steps: NDArray[np.int64], judged: list[_Judged], options: ReDBOptions
) -> FilterTable:
    """Thin the accepted boxes of the listed classes; the table of all filters."""
    table = FilterTable(classes, 'boxes', steps[0])
    for name, counts in zip(STEPS[1:], steps[1:]):
        table.add(name, counts)
    if options.examine:
        table.add('examination', _per_class(judged, 'accepted', len(classes)))
    for one in judged:
        one.banked = one.accepted.copy()
    for label, name in enumerate(classes):
        if name in options.thin:
            _thin(judged, label, options.thin[name], (options.seed, label))
    if options.thin:
        table.add('diversity', _per_class(judged, 'banked', len(classes)))
    return table


def _thin(judged: list[_Judged], label: int, rate: float, seed: tuple[int, int]) -> None:
    """Keep floor(n / rate) boxes of a class in the bank, the unusual ones with the larger chance."""
    places = [(one, box) for one in judged for box in np.flatnonzero(one.accepted & (one.record['labels'] == label))]
    counts = [one.record['overlap_count'][box] for one, box in places]
    kept = set(inverse_density_subsample(counts, rate, seed).tolist())
    for number, (one, box) in enumerate(places):
        one.banked[box] = number in kept


def _per_class(judged: list[_Judged], name: str, classes: int) -> NDArray[np.int64]:
    """(C,) boxes marked in an attribute."""
    labels = [one.record['labels'][getattr(one, name)] for one in judged]
    return np.bincount(np.concatenate([np.zeros(0, np.int64), *labels]), minlength=classes)


def _fill_bank(
    live: LiveModel, judged: list[_Judged], bank: InstanceBank, number: int, identity: dict[str, Any]
) -> None:
    """Cut the chosen boxes out; a finished round is left as it is."""
    done = number in finished_rounds(bank.folder)
    barrier()
    if done:
        return
    rank, world = rank_and_world()
    writer = bank.start_round(identity, number)
    for shard, start in enumerate(range(0, len(judged), SHARD_SIZE)):
        name = f'images_{shard:06d}'
        if shard % world == rank and not writer.has(name):
            writer.write(name, (item for one in judged[start : start + SHARD_SIZE] for item in _objects(live, one)))
    barrier()
    if rank == 0:
        writer.finish()
    barrier()


def _objects(live: LiveModel, one: _Judged) -> Iterator[BankObject]:
    """The bank's objects of an image."""
    if one.banked.any():
        yield from cut_instances(
            live.load(one.image.path)['img'], one.image.name, one.record['boxes'][one.banked],
            one.record['labels'][one.banked], scores=one.record['scores'][one.banked], source='pseudo',
        )  # fmt: skip


def _training_labels(judged: list[_Judged], options: ReDBOptions) -> Iterator[PseudoBoxes]:
    """Labels of the images: by score alone, or with rejected boxes ignored."""
    for one in judged:
        rejected = (one.status == 1) & ~one.accepted & (options.on_reject == 'ignore')
        yield pseudo_boxes(one.image, one.record, np.where(rejected, np.int8(-1), one.status))


def _silent(done: int, total: int) -> None:
    """A round inside a training shows no bar of its own."""
