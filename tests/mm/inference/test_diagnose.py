"""The two checks that a diagnosis must pass, on saved outputs of detectors and segmentors: what was broken is named."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from imbdense.core.inference import DETECTION_REMEDIES, SEGMENTATION_REMEDIES, BoxCandidates, ImageObjects
from imbdense.data.outputs.store import OutputStore
from imbdense.mm.inference.diagnose import diagnose_outputs, verdict
from imbdense.registry import REGISTRIES

CLASSES = ['car', 'mast', 'sign']
IMAGES, PLACES = 30, 40


def detector(
    folder: Path, *, use_sigmoid: bool, shift: float = 0.0, ignored_class: int | None = None, blind: bool = False
) -> OutputStore:
    """Outputs of a good detector on a row of places 30 pixels apart; the rare class is index 2.

    ``shift`` is added to the logit of the rare class, ``ignored_class`` gets no proposal, ``blind`` takes the rare
    class for class 1.
    """
    rng = np.random.default_rng(0)
    facts = {
        'kind': 'roi' if not use_sigmoid else 'dense', 'num_classes': 3, 'use_sigmoid': use_sigmoid,
        'cut': {'score_thr': 0.05, 'nms_pre': 1000, 'nms': {'type': 'nms', 'iou_threshold': 0.5}, 'max_per_img': 100},
    }  # fmt: skip
    store = OutputStore.create(folder, {
        'identity': {'task': 'detection', 'head': facts}, 'classes': CLASSES, 'num_images': IMAGES,
        'shard_size': IMAGES,
    })  # fmt: skip
    records = []
    for number in range(IMAGES):
        left = np.arange(PLACES) * 30.0
        places = np.column_stack([left, np.zeros(PLACES), left + 12, np.full(PLACES, 12.0)])
        target = rng.choice(4, PLACES, p=[0.25, 0.12, 0.03, 0.6])
        logits = rng.normal(size=(PLACES, 3 if use_sigmoid else 4)) * 0.4 - (4.0 if use_sigmoid else 0.0)
        seen = np.where(target == 2, 1, target) if blind else target
        rows = np.flatnonzero(seen < logits.shape[1])
        logits[rows, seen[rows]] += 5.5 if use_sigmoid else 3.0
        logits[:, 2] += shift
        boxes = places + rng.normal(size=places.shape) * 0.3
        real = target < 3
        truth = ImageObjects(places[real].astype(np.float32), target[real].astype(np.int64), np.zeros(real.sum(), bool))
        keep = target != ignored_class if ignored_class is not None else np.ones(PLACES, bool)
        found = boxes[keep].astype(np.float32)
        one = BoxCandidates(
            found, logits[keep].astype(np.float32), np.ones(len(found), np.float32), np.zeros(len(found), np.int16),
            found if not use_sigmoid else found[:0], truth, str(number),
        )  # fmt: skip
        records.append(one.to_arrays())
    store.write(0, records)
    return store


def diagnose(store: OutputStore) -> dict[str, Any]:
    pytest.importorskip('mmdet.models')
    return diagnose_outputs(store, None, '')


@pytest.mark.parametrize('use_sigmoid', [False, True])
def test_a_rare_class_shifted_by_minus_five_is_named_ranking_or_threshold(tmp_path: Path, use_sigmoid: bool) -> None:
    good = diagnose(detector(tmp_path / 'good', use_sigmoid=use_sigmoid))
    assert good['measures']['AP50'][2] > 0.9 and good['verdicts'][2] is None
    found = diagnose(detector(tmp_path / 'bad', use_sigmoid=use_sigmoid, shift=-5.0))
    assert found['measures']['AP50'][2] < 0.5
    assert found['verdicts'][2]['cause'] == 'threshold'
    assert 'ranking/threshold' in found['verdicts'][2]['remedies'][0]['text']
    assert found['group_verdicts']['tail']['cause'] == 'threshold' and found['group_verdicts']['head'] is None


def test_a_class_without_proposals_is_named_proposals(tmp_path: Path) -> None:
    found = diagnose(detector(tmp_path, use_sigmoid=False, ignored_class=2))
    assert found['verdicts'][2]['cause'] == 'proposals' and found['shares']['proposals'][2] > 0.95
    assert found['error_counts']['Miss'][2] == found['truth'][2]
    assert found['taken_for'][2] == [0, 0, 0, found['truth'][2]]


def test_a_class_taken_for_another_is_named_classification(tmp_path: Path) -> None:
    found = diagnose(detector(tmp_path, use_sigmoid=False, blind=True))
    assert found['verdicts'][2]['cause'] == 'classification'
    row = found['taken_for'][2]
    assert row.index(max(row)) == 1
    assert found['error_delta_ap']['Cls'][2] > 0.7


def test_shares_add_up_and_groups_say_where_they_are_from(tmp_path: Path) -> None:
    store = detector(tmp_path, use_sigmoid=True, shift=-3.0)
    found = diagnose_outputs(store, [900.0, 90.0, 9.0], 'instances of the training set')
    for c in range(3):
        total = sum(values[c] for values in found['shares'].values())
        assert total == pytest.approx(1 - found['measures']['AP50'][c])
    assert found['counts_source'] == 'instances of the training set' and found['groups']['tail'] == [2]


def test_a_segmentor_shifted_by_minus_five_is_named_prior(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    facts = {'num_classes': 3, 'scores': False, 'channels': 3, 'threshold': None}
    store = OutputStore.create(tmp_path, {
        'identity': {'task': 'segmentation', 'head': facts}, 'classes': CLASSES, 'num_images': 4, 'shard_size': 4,
    })  # fmt: skip
    records = []
    for number in range(4):
        label = rng.choice(3, 800, p=[0.85, 0.12, 0.03])
        logits = rng.normal(size=(800, 3))
        logits[np.arange(800), label] += 5.0
        logits[:, 2] -= 5.0
        table = np.zeros((3, 3), np.int64)
        np.add.at(table, (label, logits.argmax(1)), 1)
        records.append({
            'logits': logits.astype(np.float32), 'label': label.astype(np.int16), 'weight': np.ones(800),
            'size': np.full(800, 20000, np.int32), 'border': np.full(800, 50, np.uint8), 'table': table,
            'image_id': np.array(str(number)),
        })  # fmt: skip
    store.write(0, records)
    found = diagnose_outputs(store, None, '')
    assert found['verdicts'][2]['cause'] == 'prior' and found['verdicts'][0] is None
    assert found['measures']['recall_balanced'][2] > found['measures']['recall'][2] + 0.2


def test_what_needs_no_training_is_named_first() -> None:
    shares = {'threshold': np.array([0.15]), 'classification': np.array([0.1]), 'ranking': np.array([0.6])}
    found = verdict('ranking', shares, [0], DETECTION_REMEDIES)
    assert found is not None and found['also'] == ['threshold']
    assert 'ranking/threshold' in found['remedies'][0]['text'] and 'background' in found['remedies'][-2]['text']
    assert verdict('', shares, [0], DETECTION_REMEDIES) is None


def test_no_ground_truth_is_an_error(tmp_path: Path) -> None:
    facts = {'kind': 'roi', 'num_classes': 3, 'use_sigmoid': False, 'cut': {}}
    store = OutputStore.create(tmp_path, {
        'identity': {'task': 'detection', 'head': facts}, 'classes': CLASSES, 'num_images': 1, 'shard_size': 1,
    })  # fmt: skip
    nothing = np.zeros((0, 4), np.float32)
    truth = ImageObjects(nothing, np.zeros(0, np.int64), np.zeros(0, bool))
    one = BoxCandidates(nothing, nothing, nothing[:, 0], np.zeros(0, np.int16), nothing, truth, '0')
    store.write(0, [one.to_arrays()])
    with pytest.raises(ValueError, match='no ground truth: no image holds an annotated object'):
        diagnose(store)


def test_every_component_a_remedy_names_exists() -> None:
    tables = (DETECTION_REMEDIES, SEGMENTATION_REMEDIES)
    text = ' '.join(remedy.config for table in tables for remedies in table.values() for remedy in remedies)
    names = set(re.findall(r'imbdense\.(\w+)', text))
    for registry in REGISTRIES.values():
        registry.import_from_location()
    known = {name for registry in REGISTRIES.values() for name in registry.module_dict}
    assert names and not names - known
