"""Heads and test settings of the installed host's configs: YOLO, PAA, TOOD, VFNet, RTMDet, CenterNet, masks."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip('mmdet.models')

from imbdense.core.inference import BoxCandidates, LogitCalibration, class_average_precision, class_matches
from imbdense.core.stats import ClassCounts, PriorLedger
from imbdense.mm.inference.calibrate import CalibrateOptions, fit_outputs
from imbdense.mm.inference.diagnose import diagnose_outputs
from imbdense.mm.inference.finished_model import load_finished
from imbdense.mm.inference.head_facts import HeadFacts, UnknownHeadError
from imbdense.mm.inference.rescore import finish_detections
from imbdense.mm.inference.run_prior import TrainedPrior
from imbdense.mm.inference.save_outputs import save_outputs
from imbdense.mm.logit_attachment import attach_logit_map
from tests.mm.inference import detectors, host_heads
from tests.mm.inference.test_detection_outputs import SHIFT, check_rescored, finished


@pytest.mark.parametrize('kind', host_heads.CONFIGS)
def test_rescoring_is_what_the_calibrated_model_does(kind: str, tmp_path: Path) -> None:
    check_rescored(finished(kind, tmp_path), tmp_path)


def test_the_hook_on_a_head_it_reads_wrongly_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """TOOD gives probabilities; taken for logits, the plain detections would be right and the calibrated ones wrong."""
    monkeypatch.setattr('imbdense.mm.logit_attachment.gives_probabilities', lambda head: False)
    run = finished('tood', tmp_path)
    with pytest.raises(UnknownHeadError, match='calibrated by the hook, the saved candidates'):
        save_outputs(run, tmp_path / 'out')
    assert not run.model.bbox_head._forward_hooks and 'predict_by_feat' not in run.model.bbox_head.__dict__


def test_yolov3_without_objectness(tmp_path: Path) -> None:
    cfg = detectors.config('yolov3', tmp_path / 'data')
    cfg.model.bbox_head.type = 'imbdense.SamplingFreeYOLOV3Head'
    cfg.model.bbox_head.loss_cls.reduction = 'mean'
    run = load_finished(cfg, detectors.checkpoint(cfg, tmp_path / 'free.pth'), device='cpu')
    store = save_outputs(run, tmp_path / 'out')  # checks plain and calibrated detections
    one = BoxCandidates.from_arrays(next(store.records()))
    assert one.logits.shape[1] == 3 and (one.factor == 1).all()


def test_mask_ap_is_that_of_the_model(tmp_path: Path) -> None:
    """Against COCO's own evaluation of the masks that the calibrated model predicts."""
    from pycocotools import mask as coco_mask

    from imbdense.mm.metrics.coco_tables import evaluate_coco

    run = finished('mask', tmp_path)
    store = save_outputs(run, tmp_path / 'out')
    facts = HeadFacts(**store.manifest['identity']['head'])
    assert facts.masks
    candidates = [BoxCandidates.from_arrays(record) for record in store.records()]
    calibration = LogitCalibration('x', SHIFT)
    ours = [finish_detections(one, facts, calibration, masks=True) for one in candidates]
    matches = class_matches(ours, [one.objects for one in candidates], 3)
    remove = attach_logit_map(run.model, calibration, 'test')
    found = []
    for image, (_, sample) in enumerate(run.outputs(range(len(candidates)), 0)):
        own = sample.pred_instances
        for mask, label, score in zip(own.masks.numpy(), own.labels.tolist(), own.scores.tolist(), strict=True):
            coded = coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))
            found.append({'image_id': image + 1, 'category_id': label + 1, 'score': score, 'segmentation': coded})
    for undo in remove:
        undo()
    truth = json.loads((tmp_path / 'data' / 'annotations' / 'val.json').read_text())
    expected = evaluate_coco(truth, found, [1, 2, 3], iou_type='segm').precision[:, :, :, 0, -1].mean(axis=(0, 1))
    ap = class_average_precision(matches)
    assert ap.max() > 0
    assert ap == pytest.approx(expected, abs=1e-6)


def test_masks_are_asked_for_where_there_are_some(tmp_path: Path) -> None:
    store = save_outputs(finished('mask', tmp_path), tmp_path / 'masks')
    counts = ClassCounts(detectors.CLASSES, num_images=6, instances=np.array([9, 3, 1]))
    prior = TrainedPrior(PriorLedger(detectors.CLASSES, [9.0, 3.0, 1.0]), counts)
    options = {'method': 'norcal', 'objective': 'mAP_50', 'folds': 2, 'values': [0.0, 0.5]}
    by_mask, by_box = (
        fit_outputs(store, prior, None, CalibrateOptions(**options, metric=metric))[0] for metric in ('segm', 'bbox')
    )
    assert by_mask.tried != by_box.tried and max(score for _, score in by_mask.tried) > 0
    with pytest.raises(ValueError, match='a temperature is fitted by likelihood'):
        fit_outputs(store, None, None, CalibrateOptions('temperature', folds=3, metric='segm'))
    store = save_outputs(finished('roi', tmp_path), tmp_path / 'boxes')
    with pytest.raises(ValueError, match='--metric segm needs a model whose masks follow'):
        fit_outputs(store, None, None, CalibrateOptions('threshold', folds=3, metric='segm'))


@pytest.mark.parametrize('kind', ['yolov3', 'yolox', 'paa', 'centernet'])
def test_heads_of_their_own_are_diagnosed_and_fitted(kind: str, tmp_path: Path) -> None:
    """The shares of a class add up to what it lacks, and every method gives finite logits."""
    store = save_outputs(finished(kind, tmp_path), tmp_path / 'out')
    found = diagnose_outputs(store, None, '')
    for klass in range(3):
        shares = [values[klass] for values in found['shares'].values()]
        assert min(shares) > -1e-9 and sum(shares) == pytest.approx(1 - found['measures']['AP50'][klass])
    fitted, _ = fit_outputs(store, None, None, CalibrateOptions('temperature', folds=3))
    assert np.isfinite(fitted.calibration.temperature) and fitted.calibration.temperature > 0
