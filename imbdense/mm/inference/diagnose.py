"""From saved outputs to a diagnosis: per class and frequency group, where objects or pixels are lost."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from imbdense.core.inference import (
    DETECTION_REMEDIES,
    SEGMENTATION_REMEDIES,
    BoxCandidates,
    ImageDetections,
    LogitCalibration,
    Remedy,
    box_errors,
    detection_shares,
    identity_calibration,
    likelihood_offsets,
    main_causes,
    oracle_classes,
    pooled,
    reach_objects,
    recall_by_border,
    recall_by_size,
    segmentation_shares,
    taken_for_table,
)
from imbdense.core.inference.detection_diagnosis import NEAR, NEVER
from imbdense.core.inference.fit_detection import labelled_rows
from imbdense.core.inference.shares import LEAST_LOSS
from imbdense.core.metrics.groups import FrequencyGroups
from imbdense.data.outputs.store import OutputStore
from imbdense.mm.inference.calibrate import read_candidates
from imbdense.mm.inference.head_facts import HeadFacts
from imbdense.mm.inference.pixel_records import read_sample
from imbdense.mm.metrics.output import jsonable

FORMAT = 1
CLOSE = 0.75
"""A cause with at least this part of the largest share is named as well."""
UNTRAINED = ('threshold', 'prior')
"""Causes that are mended without training: named as well from a share of 0.1 on."""
Floats = NDArray[np.float64]


def diagnose_outputs(
    store: OutputStore, counts: Sequence[float] | None, counts_source: str,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """Return the content of ``diagnosis.json``.

    Args:
        counts: (C,) behind the frequency groups; ``None`` = the ground truth of the saved images.
        counts_source: where they are from, in words.

    Keys: ``task, classes, counts, counts_source, groups``; ``shares`` (cause -> per class) and ``group_shares`` (group
    -> cause -> mean), which add up to 1 - score; ``measures`` (name -> per class); ``taken_for`` (rows: class; columns:
    classes, then "nothing" for detection); ``verdicts`` per class and ``group_verdicts``: ``{cause, share, also,
    remedies}``.
    """
    detection = store.manifest['identity']['task'] == 'detection'
    shares, measures, extra, truth, score = (_detector(store, progress) if detection else _segmentor(store))
    classes = list(store.manifest['classes'])
    amounts = np.asarray(truth if counts is None else counts, dtype=np.float64)
    source = 'ground truth of the evaluated images' if counts is None else counts_source
    groups = FrequencyGroups.thirds(amounts, source=source)
    remedies = DETECTION_REMEDIES if detection else SEGMENTATION_REMEDIES
    causes = main_causes(shares)
    group_shares = {name: pooled(shares, members) for name, members in groups.members.items()}
    group_causes = {
        name: main_causes({cause: np.array([value]) for cause, value in row.items()})[0]
        for name, row in group_shares.items()
    }
    found: dict[str, Any] = jsonable({
        'format': FORMAT, 'task': store.manifest['identity']['task'], 'classes': classes, 'score': score,
        'counts': amounts, 'counts_source': source, 'groups': groups.members, 'truth': truth,
        'shares': shares, 'group_shares': group_shares, 'measures': measures,
        'verdicts': [verdict(cause, shares, [c], remedies) for c, cause in enumerate(causes)],
        'group_verdicts': {
            name: verdict(cause, shares, groups.members[name], remedies) for name, cause in group_causes.items()
        },
        **extra,
    })  # fmt: skip
    return found


def likely_prior(candidates: Sequence[BoxCandidates], facts: HeadFacts) -> LogitCalibration:
    """The shift of every class to its most likely prior among the places of the saved images."""
    rng = np.random.default_rng(0)
    rows = [labelled_rows(one, facts.num_classes, rng) for one in candidates]
    logits, target, weight = (np.concatenate([row[part] for row in rows]) for part in range(3))
    offsets = likelihood_offsets(logits, target, weight, facts.num_classes, use_sigmoid=facts.use_sigmoid)
    return LogitCalibration('likely prior', tuple(offsets.tolist()))


def verdict(
    cause: str, shares: dict[str, Floats], members: Sequence[int], remedies: dict[str, tuple[Remedy, ...]]
) -> dict[str, Any] | None:
    """The main cause with its share, causes nearly as large, and remedies, those without training first; ``None``
    without a finding."""
    if not cause:
        return None
    means = pooled(shares, members)
    also = [other for other, share in means.items() if other != cause and share >= CLOSE * means[cause]]
    free = [other for other in UNTRAINED if other != cause and means.get(other, 0.0) >= LEAST_LOSS]
    chosen = [remedy for name in (*free, cause) for remedy in remedies[name]]
    lines = [{'text': remedy.text, 'config': remedy.config} for remedy in chosen]
    also += [other for other in free if other not in also]
    return {'cause': cause, 'share': means[cause], 'also': also, 'remedies': lines}


Parts = tuple[dict[str, Floats], dict[str, Any], dict[str, Any], NDArray[np.int64], str]


def _segmentor(store: OutputStore) -> Parts:
    """Shares of 1 - IoU, and recall by size and border."""
    sample, tables = read_sample(store.records())
    shares, measures = segmentation_shares(sample)
    table = tables.sum(axis=0)
    more: dict[str, Any] = dict(measures)
    more |= {f'recall_{name}_parts': values for name, values in recall_by_size(sample).items()}
    more |= {f'recall_{name}': values for name, values in recall_by_border(sample).items()}
    return shares, more, {'taken_for': table}, table.sum(axis=1), 'IoU'


def _detector(store: OutputStore, progress: Callable[[int, int], None] | None) -> Parts:
    """Shares of 1 - AP50, and the error types of TIDE."""
    from imbdense.mm.inference.rescore import UNCUT, activated, finish_detections

    facts = HeadFacts(**store.manifest['identity']['head'])
    candidates, same = read_candidates(store), identity_calibration(facts.num_classes)
    likely = likely_prior(candidates, facts)
    threshold = float(facts.cut.get('score_thr', 0.0))
    real: list[ImageDetections] = []
    uncut: list[ImageDetections] = []
    oracle: list[ImageDetections] = []
    snapped: list[ImageDetections] = []
    reach = []
    for number, one in enumerate(candidates):
        real.append(finish_detections(one, facts, same))
        uncut.append(finish_detections(one, facts, likely, **UNCUT))
        logits, factor = likely.apply(torch.from_numpy(one.logits), use_sigmoid=facts.use_sigmoid).numpy(), one.factor
        if factor.ndim == 2:  # peaks of heat maps: who is told the class need not have its own peak there
            logits, factor = np.where(factor > 0, logits, NEVER), factor.max(axis=1)
        told = oracle_classes(logits, one.boxes, one.objects, facts.num_classes)
        moved = oracle_classes(
            logits, one.boxes, one.objects, facts.num_classes, least=NEAR, proposals=one.proposals, snap=True
        )
        for kept, (changed, boxes) in ((oracle, told), (snapped, moved)):
            mended = replace(one, logits=changed, boxes=boxes, factor=factor)
            kept.append(finish_detections(mended, facts, same, **UNCUT))
        near = one.proposals if len(one.proposals) else one.boxes[:, :4]
        reach.append(reach_objects(one.boxes, activated(one, facts), near, one.objects, threshold))
        if progress is not None:
            progress(number + 1, len(candidates))
    objects = [one.objects for one in candidates]
    shares, stages = detection_shares(real, uncut, oracle, snapped, reach, objects, facts.num_classes)
    errors = box_errors(real, objects, facts.num_classes)
    table = taken_for_table(reach, objects, facts.num_classes)
    extra = {
        'taken_for': table,
        'error_counts': errors.counts,
        'error_delta_ap': errors.delta_ap,
        'likely_shift': list(likely.shift),
        'cut': {key: facts.cut.get(key) for key in ('score_thr', 'max_per_img')},
    }
    return shares, dict(stages), extra, table.sum(axis=1), 'AP50'
