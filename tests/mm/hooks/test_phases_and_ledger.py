"""Samplers, phases and the ledger: whoever corrects next knows what is drawn now, and nobody corrects twice."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip('mmseg')

from mmengine.runner import Runner

from imbdense.core.stats import ClassCounts, DoubleCorrectionError, ImageClassTable, PriorLedger
from imbdense.mm.prior import HUB_LEDGER, build_ledger
from imbdense.mm.samplers.balanced_image_sampler import BalancedImageSampler
from tests.mm.hooks.tiny_run import config, write_dataset
from tests.mm.samplers.test_samplers import Listed

OVER = {'type': 'imbdense.BalancedImageSampler', 'mode': 'oversample'}


@pytest.fixture(scope='module')
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp('tiny')
    write_dataset(folder)
    return folder


def train(dataset: Path, work_dir: Path, head: dict[str, Any] | None = None, **phases: Any) -> tuple[Any, PriorLedger]:
    """Two epochs with phases; the runner and the ledger at the end."""
    hooks = [{'type': 'imbdense.ClassCountHook'}, {'type': 'imbdense.DeferredRebalanceHook', 'phases': phases}]
    cfg = config(dataset, work_dir, hooks=hooks)
    cfg.train_cfg.max_epochs = 2
    cfg.model.decode_head.update(head or {})
    run = Runner.from_cfg(cfg)
    run.train()
    return run, PriorLedger.from_dict(run.message_hub.get_info(HUB_LEDGER))


def test_a_new_sampler_is_followed_into_the_loss(dataset: Path, tmp_path: Path) -> None:
    run, ledger = train(dataset, tmp_path, natural={'until': 1}, balanced={'sampler': OVER})
    assert [entry.source for entry in ledger.entries[1:]] == ['BalancedImageSampler', 'BalancedSoftmaxLoss']
    counts = run.model.decode_head.loss_decode.known_counts()
    assert (counts / counts.sum()).numpy() == pytest.approx(ledger.seen_prior)
    assert ledger.seen_prior[2] > 1.5 * np.asarray(ledger.entries[0].prior)[2]


def test_the_last_phase_decides_what_the_model_encodes(dataset: Path, tmp_path: Path) -> None:
    _, ledger = train(dataset, tmp_path, balanced={'until': 0.5, 'sampler': OVER}, natural={'sampler': 'natural'})
    assert [entry.source for entry in ledger.entries] == ['training labels (pixels)', 'BalancedSoftmaxLoss']


def test_deferred_reweighting_with_a_loss_of_imbdense(dataset: Path, tmp_path: Path) -> None:
    run, _ = train(dataset, tmp_path, plain={'until': 0.5}, rebalanced={'loss': True})
    assert run.model.decode_head.loss_decode.rebalancing is True
    run, _ = train(dataset, tmp_path / 'reverse', rebalanced={'until': 0.5, 'loss': True}, plain={})
    assert run.model.decode_head.loss_decode.rebalancing is False


def test_pixel_sampler_in_a_run(dataset: Path, tmp_path: Path) -> None:
    head = {'sampler': {'type': 'imbdense.PixelBalancedSampler', 'mode': 'under', 'level': 0.5}}
    run, ledger = train(dataset, tmp_path, head, a={'until': 1}, b={'sampler': OVER})
    assert [entry.source for entry in ledger.entries[1:]] == [
        'BalancedImageSampler', 'PixelBalancedSampler', 'BalancedSoftmaxLoss'
    ]  # fmt: skip
    assert run.model.decode_head.sampler._known.numpy() == pytest.approx(np.asarray(ledger.entries[1].prior))


# Over-sampling and thresholding (dividing the scores by the prior) --------------------------------------------------


def ledger_after(rows: list[list[int]], **options: Any) -> tuple[PriorLedger, np.ndarray]:
    """Ledger of a data set drawn with BalancedImageSampler, and the labels' counts."""
    table = ImageClassTable.from_lists(rows, 3)
    sampler = BalancedImageSampler(Listed(rows), seed=0, **options)
    counts = ClassCounts(('field', 'road', 'crane'), instances=table.totals)
    ledger, unknown = build_ledger(counts, table, Listed(rows), sampler)
    assert not unknown
    return ledger, table.totals


def test_thresholding_after_full_oversampling_is_the_identity_and_the_raw_prior_is_refused() -> None:
    ledger, raw = ledger_after([[0]] * 30 + [[1]] * 6 + [[2]] * 2)
    shift = ledger.residual()
    assert np.ptp(shift) < 0.02, 'dividing by the effective prior changes no decision'
    with pytest.raises(DoubleCorrectionError, match='nothing is left to correct, BalancedImageSampler already did'):
        ledger.apply('PostHocLogitAdjustHook', 'post_hoc', shift)
    with pytest.raises(DoubleCorrectionError, match='BalancedImageSampler already changed'):
        ledger.apply('PostHocLogitAdjustHook', 'post_hoc', -np.log(raw / raw.sum()), assumed=raw)


def test_thresholding_after_partial_balancing_takes_the_rest() -> None:
    """Over-sampling can not part classes that share their images; the prior it leaves is corrected."""
    ledger, raw = ledger_after([[0, 0, 0]] * 20 + [[0, 0, 0, 1]] * 6 + [[2, 0]] * 2)
    shift = ledger.residual()
    assert 0.5 < np.ptp(shift) < np.ptp(np.log(raw))
    ledger.apply('PostHocLogitAdjustHook', 'post_hoc', shift)
    assert ledger.prior == pytest.approx([1 / 3] * 3)
