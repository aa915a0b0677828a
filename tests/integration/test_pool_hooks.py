"""Hooks that look at the pool while a semi-supervised segmentor trains: class shares, image weights, label quality."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch

pytest.importorskip('mmseg')

from imbdense.mm.checkpoints import load_checkpoint
from tests.integration.test_semi_supervised import assert_same_weights, curve, log_of, train, write_config
from tests.mm.datasets.semi_data import labeled_config, write_semi

ALIGNED = {
    'model.refine': [dict(type='imbdense.DistributionAlign', target='bbse', momentum=0.5)],
    'model.pseudo': dict(type='imbdense.ExpectedShareThreshold', threshold=0.3, expected='bbse', momentum=0.5),
}
EMA = dict(type='imbdense.EMATeacherHook')


def run(folder: Path, hooks: list[dict[str, Any]], iterations: int = 6, data: Path | None = None, **lines: Any) -> Path:
    data = data or write_semi(folder / 'data', labeled=4, unlabeled=6)
    return write_config(folder / 'run', data, iterations=iterations, custom_hooks=[EMA, *hooks], **lines)


def test_shares_are_estimated_and_handed_on(tmp_path: Path) -> None:
    """After iterations 2 and 4; alignment and thresholds get the same estimate, which is in the checkpoint."""
    train(run(tmp_path, [dict(type='imbdense.PriorEstimateHook', interval=2)], **ALIGNED), tmp_path / 'out')
    log = log_of(tmp_path / 'out')
    assert 'class shares before iteration 3' in log and 'class shares before iteration 5' in log
    assert 'class shares before iteration 1:' not in log
    state = load_checkpoint(tmp_path / 'out' / 'iter_6.pth')['state_dict']
    prior = state['refine.0.target.estimate']
    assert bool(state['refine.0.target.known']) and prior.sum().item() == pytest.approx(1.0)
    assert torch.equal(prior, state['pseudo.target.estimate']) and not torch.allclose(prior, torch.full((4,), 0.25))


@pytest.mark.slow
def test_resuming_goes_on_with_the_estimate(tmp_path: Path) -> None:
    config = run(tmp_path, [dict(type='imbdense.PriorEstimateHook', interval=2, max_images=3)], **ALIGNED)
    train(config, tmp_path / 'whole')
    train(config, tmp_path / 'parts', '--cfg-options', 'train_cfg.max_iters=3')
    train(config, tmp_path / 'parts', '--resume')
    assert curve(tmp_path / 'whole') == curve(tmp_path / 'parts')
    assert_same_weights(tmp_path / 'whole' / 'iter_6.pth', tmp_path / 'parts' / 'iter_6.pth')


def test_nobody_waits_for_an_estimate_or_there_is_no_pool(tmp_path: Path) -> None:
    from types import SimpleNamespace

    from imbdense.core.pseudo_label import DistributionAlign
    from imbdense.registry import HOOKS

    hook = HOOKS.build(dict(type='imbdense.PriorEstimateHook'))
    loader = SimpleNamespace(dataset=[])
    with pytest.raises(ValueError, match='nothing in the model waits'):
        hook.before_train(SimpleNamespace(model=DistributionAlign(3, 'uniform'), train_dataloader=loader))
    with pytest.raises(ValueError, match='no unlabelled part'):
        hook.before_train(SimpleNamespace(model=DistributionAlign(3, 'bbse'), train_dataloader=loader))
    with pytest.raises(ValueError, match="must be 'val' or the config"):
        HOOKS.build(dict(type='imbdense.PriorEstimateHook', held_out='train'))


def test_image_weights_reach_the_loss(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """DatasetShiftHook on batches of SemiDataset; the first measurement is after iteration 6 (12 labelled images)."""
    from imbdense.mm.segmentors.semi_segmentor import SemiSegmentor

    seen: list[Any] = []
    plain = SemiSegmentor._batch

    def watched(self: Any, *arguments: Any) -> Any:
        found = plain(self, *arguments)
        seen.append(found.weight)
        return found

    monkeypatch.setattr(SemiSegmentor, '_batch', watched)
    hook = dict(type='imbdense.DatasetShiftHook', interval=6, max_vectors=200, action='downweight')
    train(run(tmp_path, [hook], iterations=8), tmp_path / 'out')
    assert seen[:5] == [None] * 5
    assert seen[-1].shape == (2,) and float(seen[-1].min()) >= 0
    assert 'DatasetShiftHook, iteration 6' in log_of(tmp_path / 'out')


def test_quality_on_held_out_labels_is_logged_and_stops_the_cut(tmp_path: Path) -> None:
    """Nearly everything is accepted after two iterations of a random network, so labels of some class are wrong."""
    data = write_semi(tmp_path / 'data')
    hook = dict(
        type='imbdense.RareCollapseHook', interval=1, patience=2, cut=0.1, floor=1.0, held_out='val',
        least_precision=1.0, max_images=2,
    )  # fmt: skip
    train(run(tmp_path, [hook], iterations=3, data=data), tmp_path / 'out')
    log = log_of(tmp_path / 'out')
    assert 'pseudo-labels of these classes are wrong on held-out images' in log
    scalars = ''.join(file.read_text() for file in (tmp_path / 'out').glob('*/vis_data/*.json'))
    assert 'pseudo/precision_' in scalars and 'pseudo/recall_mast' in scalars


def test_quality_by_hand() -> None:
    """Four pixels of class 0, of which one has no label; of four that got label 0 three are right."""
    import numpy as np

    from imbdense.mm.hooks.pseudo_quality import PseudoQuality, measure_quality

    logits = torch.full((2, 2, 4), -3.0)
    logits[0, 0], logits[1, 1] = 3.0, 3.0
    logits[:, 1, 3] = 0.0  # not sure: no label
    label = np.array([[0, 0, 0, 1], [1, 1, -1, 0]])

    class Images:
        classes = ('a', 'b')

        def __len__(self) -> int:
            return 1

        def look(self, model: Any, chosen: Any) -> Any:
            yield 0, logits, label

    class Model:
        def label(self, probs: torch.Tensor, features: Any, valid: torch.Tensor) -> Any:
            from imbdense.core.pseudo_label import FixedThreshold

            return FixedThreshold(2, 0.9)(probs, valid)

    found = measure_quality(Model(), Images(), 5, 0)
    assert isinstance(found, PseudoQuality)
    assert found.kept.tolist() == [4, 2] and found.right.tolist() == [3, 2] and found.truth.tolist() == [4, 3]
    assert found.precision.tolist() == [0.75, 1.0] and found.recall.tolist() == [0.75, pytest.approx(2 / 3)]


def test_held_out_images_are_found_among_the_unlabelled(tmp_path: Path) -> None:
    from mmengine.registry import init_default_scope

    from imbdense.registry import DATASETS
    from tests.mm.datasets.semi_data import semi_config

    init_default_scope('mmseg')
    write_semi(tmp_path)
    write_semi(tmp_path / 'val', labeled=2, unlabeled=0)
    copied = tmp_path / 'val' / 'labeled' / 'images' / '01.png'
    copied.write_bytes((tmp_path / 'unlabeled' / '05.png').read_bytes())
    held = labeled_config(tmp_path / 'val')
    for given in (held, [held]):
        dataset = DATASETS.build({**semi_config(tmp_path), 'held_out': copy.deepcopy(given)})
        assert len(dataset) == 3 + 4 and len(dataset.held_out_overlap.same) == 1
        assert '05.png' not in [Path(dataset.get_data_info(i)['img_path']).name for i in range(3, 7)]
    assert len(DATASETS.build({**semi_config(tmp_path, overlap='warn'), 'held_out': held})) == 3 + 5
    with pytest.raises(ValueError, match='held out for evaluation'):
        DATASETS.build({**semi_config(tmp_path, overlap='error'), 'held_out': held})
