"""Saved pixels against the model's own evaluation; the prior that training left; binary and mask heads."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from imbdense.core.inference import identity_calibration
from imbdense.core.inference.fit_segmentation import fold_tables
from imbdense.core.stats import ClassCounts, DoubleCorrectionError, PriorLedger
from imbdense.mm.inference.calibrate import CalibrateOptions, calibration_file, exact_score, fit_outputs, refuse_double
from imbdense.mm.inference.finished_model import load_finished
from imbdense.mm.inference.methods import strength_method
from imbdense.mm.inference.pixel_records import pixel_record, read_sample, segmentor_facts
from imbdense.mm.inference.run_prior import TrainedPrior, object_centres, trained_prior
from imbdense.mm.inference.save_outputs import save_outputs, spread
from tests.mm.hooks.tiny_run import CLASSES
from tests.mm.inference.segmentors import spoil, trained

PLAIN = {'type': 'CrossEntropyLoss'}


@pytest.fixture(scope='module')
def plain(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Path, Path]:
    folder = tmp_path_factory.mktemp('plain')
    cfg, checkpoint = trained(folder, loss=PLAIN, hooks=[])
    return cfg, checkpoint, folder


def test_all_pixels_are_saved_of_small_images_and_the_table_is_exact(plain: tuple[Any, Path, Path]) -> None:
    cfg, checkpoint, folder = plain
    finished = load_finished(cfg, checkpoint, device='cpu')
    sample, tables = read_sample(save_outputs(finished, folder / 'o').records())
    assert tables.dtype == np.int64 and tables.shape == (12, 3, 3)
    assert tables.sum() == 12 * 23 * 24  # the ignored row of each label is left out
    again = fold_tables(sample, identity_calibration(3), np.zeros(12, dtype=np.int64), 1)[0]
    assert again == pytest.approx(tables.sum(axis=0))  # every pixel has weight 1 here
    assert exact_score(save_outputs(finished, folder / 'o'), 'mIoU') > 0
    assert exact_score(save_outputs(finished, folder / 'o'), 'mAP') is None


def test_shift_of_minus_five_is_repaired_on_held_out_images(plain: tuple[Any, Path, Path]) -> None:
    cfg, checkpoint, folder = plain
    worse = spoil(checkpoint, folder / 'worse.pth', -5.0)
    store = save_outputs(load_finished(cfg, worse, device='cpu'), folder / 'worse')
    fitted, strength = fit_outputs(store, None, cfg, CalibrateOptions('threshold', objective='mRecall', folds=3))
    assert strength is None and fitted.calibration.shift[2] > fitted.calibration.shift[0] + 2
    record = calibration_file(store, None, fitted, None, False)
    assert record.classes == CLASSES and record.before is None and record.facts['data']['images'] == 12


def test_the_prior_is_followed_without_the_hook(plain: tuple[Any, Path, Path]) -> None:
    cfg, checkpoint, _ = plain
    prior = trained_prior(load_finished(cfg, checkpoint, device='cpu'))
    assert [entry.stage for entry in prior.ledger.entries] == ['labels']
    assert prior.effective_counts().tolist() == prior.counts.pixels.tolist()
    assert prior.empty == []


def test_a_balanced_model_is_refused_unless_forced(tmp_path: Path) -> None:
    cfg, checkpoint = trained(tmp_path)  # balanced softmax with ClassCountHook
    finished = load_finished(cfg, checkpoint, device='cpu')
    prior, store = trained_prior(finished), save_outputs(finished, tmp_path / 'o')
    assert prior.ledger.entries[-1].source == 'BalancedSoftmaxLoss'
    with pytest.raises(DoubleCorrectionError, match='nothing is left to correct, BalancedSoftmaxLoss already did'):
        fit_outputs(store, prior, cfg, CalibrateOptions('logit-adjust', folds=3))
    with pytest.raises(DoubleCorrectionError, match='BalancedSoftmaxLoss already changed'):
        fit_outputs(store, prior, cfg, CalibrateOptions('fracal', folds=3))
    fitted, strength = fit_outputs(store, prior, cfg, CalibrateOptions('logit-adjust', folds=3, force=True))
    assert strength is not None and strength.make(1.0).shift[2] > strength.make(1.0).shift[0] + 1
    assert fitted.calibration.method == 'logit-adjust'
    # The same without the ledger in the checkpoint: the config's loss says it.
    content = torch.load(checkpoint, weights_only=False)
    content['meta'].pop('imbdense')
    content.pop('message_hub', None)
    torch.save(content, tmp_path / 'bare.pth')
    bare = trained_prior(load_finished(cfg, tmp_path / 'bare.pth', device='cpu'))
    assert bare.ledger.entries[-1].source == 'BalancedSoftmaxLoss'


def balanced_prior() -> TrainedPrior:
    """A detector trained with balanced softmax; one class without a sample."""
    counts = ClassCounts(CLASSES, instances=np.array([900, 90, 0]), images=np.array([50, 20, 0]))
    ledger = PriorLedger(CLASSES, counts.instances)
    ledger.apply('BalancedSoftmaxLoss', 'loss', -np.log(np.maximum(counts.instances, 1)))
    return TrainedPrior(ledger, counts)


def test_norcal_on_a_balanced_model_is_refused_unless_forced() -> None:
    prior = balanced_prior()
    options: dict[str, Any] = {'detection': True, 'use_sigmoid': False}
    method = strength_method('norcal', prior, None, **options)
    with pytest.raises(DoubleCorrectionError, match='nothing is left to correct, BalancedSoftmaxLoss already did'):
        refuse_double(prior.ledger, method, force=False)
    forced = strength_method('norcal', prior, None, force=True, **options)
    refuse_double(prior.ledger, forced, force=True)
    assert forced.make(1.0).parameters['counts'] == [50, 20, 0]  # images, as in the paper
    assert prior.empty == ['mast'] and np.isfinite(forced.make(1.0).shift).all()


def test_norcal_is_for_detectors_and_objectives_for_their_task(plain: tuple[Any, Path, Path]) -> None:
    cfg, checkpoint, folder = plain
    finished = load_finished(cfg, checkpoint, device='cpu')
    prior, store = trained_prior(finished), save_outputs(finished, folder / 'o')
    with pytest.raises(ValueError, match='norcal is for detectors'):
        fit_outputs(store, prior, cfg, CalibrateOptions('norcal'))
    with pytest.raises(ValueError, match='--objective mAP is not for segmentation'):
        fit_outputs(store, prior, cfg, CalibrateOptions('logit-adjust', objective='mAP'))


def test_partly_corrected_counts_keep_their_sum(plain: tuple[Any, Path, Path]) -> None:
    cfg, checkpoint, _ = plain
    prior = trained_prior(load_finished(cfg, checkpoint, device='cpu'))
    ledger = prior.ledger
    ledger.declare('RareClassCrop', [0.5, 0.3, 0.2])
    changed = TrainedPrior(ledger, prior.counts)
    counts = changed.effective_counts()
    assert counts.sum() == pytest.approx(prior.counts.pixels.sum())
    assert counts / counts.sum() == pytest.approx([0.5, 0.3, 0.2])
    assert changed.effective_counts(force=True).tolist() == prior.counts.pixels.tolist()


def test_counts_of_other_classes_are_refused(plain: tuple[Any, Path, Path], tmp_path: Path) -> None:
    cfg, checkpoint, _ = plain
    file = tmp_path / 'class_counts.json'
    file.write_text(ClassCounts(('a', 'b'), pixels=np.array([1, 2])).to_json())
    with pytest.raises(ValueError, match='which do not fit the head'):
        trained_prior(load_finished(cfg, checkpoint, device='cpu'), str(file))


def test_centres_of_parts(plain: tuple[Any, Path, Path]) -> None:
    centres, images, total = object_centres(plain[0], 3)
    assert images.tolist() == [12, 12, 3] and total == 12
    assert centres[1][0].tolist() == pytest.approx([8 / 24, 7 / 24])  # rows 4 - 9, columns 4 - 11
    assert centres[2].shape == (3, 2)


class Head(torch.nn.Module):
    num_classes, out_channels, threshold = 2, 1, 0.3


def binary_sample() -> dict[str, Any]:
    probability = torch.tensor([[[0.1, 0.29, 0.31, 0.9]]])
    return {
        'img_path': 'a.png', 'seg_logits': {'data': probability},
        'gt_sem_seg': {'data': torch.tensor([[[0, 1, 1, 255]]])},
        'pred_sem_seg': {'data': (probability > 0.3).float()},
    }  # fmt: skip


def test_binary_head_of_one_channel() -> None:
    model = torch.nn.Module()
    model.decode_head = Head()
    facts = segmentor_facts(model)
    assert facts == {'num_classes': 2, 'scores': False, 'channels': 1, 'threshold': 0.3}
    record = pixel_record(binary_sample(), facts, 255, np.random.default_rng(0))
    assert record['logits'].argmax(axis=1).tolist() == [0, 0, 1] and record['label'].tolist() == [0, 1, 1]
    assert record['logits'][2, 1] == pytest.approx(math.log(0.31 / 0.69) - math.log(0.3 / 0.7), abs=1e-5)
    assert record['table'].tolist() == [[1, 0], [1, 1]]
    with pytest.raises(TypeError, match='no decode_head'):
        segmentor_facts(torch.nn.Linear(1, 1))


def test_spread() -> None:
    assert spread(10, 3).tolist() == [0, 4, 9] and spread(4, None).tolist() == [0, 1, 2, 3]
