"""Saved candidates give the detector's own detections, for every kind of head, also after a calibration."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

pytest.importorskip('mmdet.models')

from imbdense.core.inference import BoxCandidates, LogitCalibration, fracal
from imbdense.mm.inference.calibrate import CalibrateOptions, fit_outputs
from imbdense.mm.inference.detection_head import listen
from imbdense.mm.inference.diagnose import diagnose_outputs
from imbdense.mm.inference.finished_model import FinishedModel, load_finished
from imbdense.mm.inference.head_facts import HeadFacts, UnknownHeadError, find_head
from imbdense.mm.inference.rescore import finish_detections
from imbdense.mm.inference.save_outputs import save_outputs
from imbdense.mm.logit_attachment import attach_logit_map
from tests.helpers.two_ranks import run_two_ranks
from tests.mm.inference import detectors

SHIFT = (1.5, -1.0, 0.7)


def finished(kind: str, folder: Path, count: int = 6) -> FinishedModel:
    cfg, weights = detectors.config(kind, folder / 'data', count), folder / f'{kind}.pth'
    return load_finished(cfg, weights if weights.exists() else detectors.checkpoint(cfg, weights), device='cpu')


@pytest.mark.parametrize('kind', detectors.KINDS)
def test_rescoring_is_what_the_calibrated_model_does(kind: str, tmp_path: Path) -> None:
    check_rescored(finished(kind, tmp_path), tmp_path)


def check_rescored(run: FinishedModel, tmp_path: Path) -> None:
    """Detections from the saved candidates are those of the model under every form of calibration."""
    store = save_outputs(run, tmp_path / 'out')  # checks the plain detections itself
    facts = HeadFacts(**store.manifest['identity']['head'])
    candidates = [BoxCandidates.from_arrays(record) for record in store.records()]
    calibrations = [
        LogitCalibration('x', SHIFT, temperature=1.3),
        LogitCalibration('x', SHIFT, thresholds=(0.2, 0.05, 0.3)),
    ]
    if facts.use_sigmoid:
        calibrations.append(fracal([5, 2, 1], 6, [1.9, 1.2, 1.0], use_sigmoid=True))
    plain = finish_detections(candidates[0], facts, LogitCalibration('x', (0.0,) * 3))
    for calibration in calibrations:
        remove = attach_logit_map(run.model, calibration, 'test')
        for one, (_, sample) in zip(candidates, run.outputs(range(len(candidates)), 0)):
            ours, own = finish_detections(one, facts, calibration), sample.pred_instances
            assert len(ours.scores) == len(own.scores) > 0
            assert np.allclose(np.sort(ours.scores), np.sort(own.scores.numpy()), atol=1e-5)
            assert sorted(ours.labels.tolist()) == sorted(own.labels.tolist())
            order, theirs = np.lexsort(ours.boxes.T), np.lexsort(own.bboxes.numpy().T)
            assert np.allclose(ours.boxes[order], own.bboxes.numpy()[theirs], atol=0.05)
        for undo in remove:
            undo()
    changed = finish_detections(candidates[0], facts, calibrations[0])
    assert len(plain.scores) != len(changed.scores) or not np.allclose(plain.scores, changed.scores)


def test_dense_head_beyond_nms_pre_keeps_fewer_places(tmp_path: Path) -> None:
    run = finished('dense', tmp_path)
    store = save_outputs(run, tmp_path / 'out')
    one = BoxCandidates.from_arrays(next(store.records()))
    places = 2 * (15 * 18 + 8 * 9)  # anchors on both levels of a 120 x 144 image
    assert 60 < len(one.boxes) < places and one.logits.shape[1] == 3


def save_here(folder: str) -> int:
    run = finished('dense_factor', Path(folder))
    save_outputs(run, Path(folder) / 'two')
    torch.distributed.barrier()
    return len(list((Path(folder) / 'two').glob('shard_*.npz')))


def test_two_ranks_save_the_same_folder_as_one(tmp_path: Path) -> None:
    save_outputs(finished('dense_factor', tmp_path, count=18), tmp_path / 'one')
    assert run_two_ranks(save_here, str(tmp_path)) == [3, 3]
    for file in (tmp_path / 'one').iterdir():
        assert file.read_bytes() == (tmp_path / 'two' / file.name).read_bytes(), file.name


def test_a_broken_run_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = finished('dense', tmp_path)
    monkeypatch.setattr('imbdense.mm.inference.save_outputs.SHARD_SIZE', 2)

    def stop(done: int, total: int) -> None:
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        save_outputs(run, tmp_path / 'out', progress=stop)
    assert sorted(p.name for p in (tmp_path / 'out').iterdir()) == ['outputs.json', 'shard_00000.npz']
    assert 'predict_by_feat' not in run.model.bbox_head.__dict__  # nothing stays attached
    seen: list[tuple[int, int]] = []
    store = save_outputs(run, tmp_path / 'out', progress=lambda done, total: seen.append((done, total)))
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)] and not store.missing()


def test_a_head_that_post_processes_otherwise_is_refused(tmp_path: Path) -> None:
    run = finished('dense', tmp_path)
    head = run.model.bbox_head
    original = head._bbox_post_process

    def own_way(results: object, *args: object, **kwargs: object) -> object:
        found = original(results, *args, **kwargs)
        found.scores = found.scores * 0.5
        return found

    head._bbox_post_process = own_way
    with pytest.raises(UnknownHeadError, match='post-processes in a way of its own'):
        save_outputs(run, tmp_path / 'out')


@pytest.mark.parametrize('kind', detectors.OWN_SCORES)
def test_scores_of_the_losss_own_can_be_diagnosed_but_not_shifted(kind: str, tmp_path: Path) -> None:
    run = finished(kind, tmp_path)
    store = save_outputs(run, tmp_path / 'out')  # checks the detections
    facts = HeadFacts(**store.manifest['identity']['head'])
    assert facts.own_scores and facts.use_sigmoid
    assert diagnose_outputs(store, None, '')['task'] == 'detection'
    fitted, _ = fit_outputs(store, None, None, CalibrateOptions('threshold', folds=3))
    least = fitted.calibration.thresholds
    remove = attach_logit_map(run.model, fitted.calibration, 'test')
    for _, sample in run.outputs(range(6), 0):
        assert least is not None
        assert all(s >= least[c] for s, c in zip(sample.pred_instances.scores, sample.pred_instances.labels))
    for undo in remove:
        undo()
    with pytest.raises(UnknownHeadError, match='temperature cannot be fitted'):
        fit_outputs(store, None, None, CalibrateOptions('temperature', folds=3))


def test_no_head_is_refused() -> None:
    with pytest.raises(UnknownHeadError, match='no bbox_head'):
        find_head(torch.nn.Linear(1, 1))
    with pytest.raises(UnknownHeadError, match='no bbox_head'), listen(torch.nn.Linear(1, 1)):
        pass


def test_wrong_number_of_classes(tmp_path: Path) -> None:
    run = finished('dense', tmp_path)
    run.classes = ('car', 'mast')
    with pytest.raises(ValueError, match='the head has 3 classes, but the val data set has 2'):
        save_outputs(run, tmp_path / 'out')


def test_no_proposal_at_all(tmp_path: Path) -> None:
    run = finished('roi', tmp_path)
    run.model.rpn_head.test_cfg.min_bbox_size = 10_000
    store = save_outputs(run, tmp_path / 'out')
    facts = HeadFacts(**store.manifest['identity']['head'])
    one = BoxCandidates.from_arrays(next(store.records()))
    assert one.logits.shape == (0, 4) and len(one.objects.labels) == 3
    assert len(finish_detections(one, facts, LogitCalibration('x', SHIFT)).scores) == 0
