"""PostHocLogitAdjustHook: where it acts, when it refuses, and that nothing stays behind."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

pytest.importorskip('mmseg')

from imbdense.core.inference import LogitCalibration
from imbdense.core.stats import DoubleCorrectionError
from imbdense.mm.hooks.post_hoc_logit_adjust_hook import PostHocLogitAdjustHook
from imbdense.mm.logit_attachment import attach_logit_map
from tests.mm.hooks.tiny_run import runner, write_dataset

COUNTS = [4024.0, 384.0, 8.0]
POST_HOC = {'type': 'imbdense.PostHocLogitAdjustHook'}
CE = {'type': 'CrossEntropyLoss', 'use_sigmoid': False}


def attach_shift(model, shift, centred):
    """Segmentors get the shift, detectors the centred one, as the hook does."""
    used = shift if hasattr(model, 'decode_head') else centred
    return attach_logit_map(model, LogitCalibration('logit-adjust', tuple(used.tolist())), 'PostHocLogitAdjustHook')



@pytest.fixture(scope='module')
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp('tiny')
    write_dataset(folder)
    return folder


def trained(dataset: Path, work_dir: Path, **changes: Any) -> str:
    runner(dataset, work_dir, **changes).train()
    return str(work_dir / 'epoch_1.pth')


def predictions(run: Any) -> tuple[dict[str, float], list[torch.Tensor]]:
    """Metrics of a test run and the logits of its first image outside of the hook."""
    values = run.test()
    run.model.eval()
    batch = next(iter(run.test_dataloader))
    with torch.no_grad():
        logits = [item.seg_logits.data for item in run.model.test_step(batch)]
    return values, logits


def test_a_plain_model_is_adjusted_and_left_as_it_was(dataset: Path, tmp_path: Path) -> None:
    """The checkpoint of a CE run with ClassCountHook holds the prior, so nothing else is needed."""
    path = trained(dataset, tmp_path / 'train', loss=CE)
    plain, logits = predictions(runner(dataset, tmp_path / 'plain', load_from=path, hooks=[]))
    run = runner(dataset, tmp_path / 'adjusted', load_from=path, hooks=[POST_HOC])
    adjusted, after = predictions(run)
    assert torch.equal(logits[0], after[0])  # the shift is gone after the test
    assert 'encode_decode' not in run.model.__dict__
    rare = [values.get('recall/mast', 0.0) for values in (plain, adjusted)]
    assert rare[1] >= rare[0] and adjusted != plain


def test_the_shift_is_exactly_minus_log_prior(dataset: Path, tmp_path: Path) -> None:
    run = runner(dataset, tmp_path, loss=CE, hooks=[])
    model = run.model.eval()
    image = torch.randn(1, 3, 24, 24)
    meta = [{'ori_shape': (24, 24), 'img_shape': (24, 24), 'pad_shape': (24, 24)}]
    shift = torch.tensor([0.5, -1.0, 3.0], dtype=torch.float64)
    before = model.encode_decode(image, meta)
    removers = attach_shift(model, shift, shift)
    assert torch.allclose(model.encode_decode(image, meta), before + shift.float().view(1, 3, 1, 1))
    for remove in removers:
        remove()
    assert torch.equal(model.encode_decode(image, meta), before)


@pytest.mark.parametrize('region_term', [True, False])
def test_after_a_region_term_the_log_warns_once(
    dataset: Path, tmp_path: Path, region_term: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mmengine.logging import MMLogger

    warnings: list[str] = []
    monkeypatch.setattr(MMLogger, 'warning', lambda self, text, *args, **kwargs: warnings.append(str(text)))
    loss = [CE, {'type': 'imbdense.BinnedLovaszLoss'}] if region_term else CE
    run = runner(dataset, tmp_path, loss=loss, hooks=[])
    hook = PostHocLogitAdjustHook(class_counts=COUNTS)
    for _ in range(2):
        hook.calibration(run, run.model, None, None)
    found = [text for text in warnings if 'BinnedLovaszLoss also moved the class scores' in text]
    assert len(found) == int(region_term)


@pytest.mark.parametrize('with_ledger', [True, False], ids=['ledger in the checkpoint', 'losses of the config'])
def test_a_balanced_model_is_refused_in_a_pure_test_run(dataset: Path, tmp_path: Path, with_ledger: bool) -> None:
    count = [{'type': 'imbdense.ClassCountHook'}] if with_ledger else []
    path = trained(dataset, tmp_path / 'train', hooks=count)
    hook = POST_HOC if with_ledger else {**POST_HOC, 'class_counts': COUNTS}
    with pytest.raises(DoubleCorrectionError, match='BalancedSoftmaxLoss'):
        runner(dataset, tmp_path / 'test', load_from=path, hooks=[hook]).test()
    forced = {**POST_HOC, 'class_counts': COUNTS, 'force': True}
    assert runner(dataset, tmp_path / 'forced', load_from=path, hooks=[forced]).test()


def test_validation_while_training_is_adjusted_and_training_is_not(dataset: Path, tmp_path: Path) -> None:
    run = runner(dataset, tmp_path / 'a', loss=CE, hooks=[{'type': 'imbdense.ClassCountHook'}, POST_HOC])
    run.train()
    plain = runner(dataset, tmp_path / 'b', loss=CE)
    plain.train()
    for one, other in zip(run.model.state_dict().values(), plain.model.state_dict().values(), strict=True):
        assert torch.equal(one, other)


def test_no_prior_anywhere_says_what_to_give(dataset: Path, tmp_path: Path) -> None:
    path = trained(dataset, tmp_path / 'train', loss=CE, hooks=[])
    with pytest.raises(ValueError, match=r'class_counts.*imbdense stats'):
        runner(dataset, tmp_path / 'test', load_from=path, hooks=[POST_HOC]).test()
    given = {**POST_HOC, 'class_counts': COUNTS, 'tau': 0.5}
    assert runner(dataset, tmp_path / 'given', loss=CE, load_from=path, hooks=[given]).test()


def test_a_target_prior_is_reached_from_a_balanced_model(dataset: Path, tmp_path: Path) -> None:
    """After balanced softmax the residual to the labels' own prior is there to be corrected: allowed."""
    path = trained(dataset, tmp_path / 'train')
    hook = {**POST_HOC, 'target_prior': COUNTS}
    values = runner(dataset, tmp_path / 'test', load_from=path, hooks=[hook]).test()
    assert values['mIoU'] > 0


def test_test_time_augmentation(dataset: Path, tmp_path: Path) -> None:
    from mmseg.models import SegTTAModel

    run = runner(dataset, tmp_path, loss=CE, hooks=[])
    wrapped = SegTTAModel(module=run.model)
    hook = PostHocLogitAdjustHook(class_counts=COUNTS)
    run.model = wrapped
    hook.before_test(run)
    assert 'encode_decode' in wrapped.module.__dict__
    hook.after_test(run)
    hook.remove()
    assert 'encode_decode' not in wrapped.module.__dict__


def test_class_scores_of_mask_heads_are_adjusted_in_the_log_domain() -> None:
    class Mask2FormerHead(torch.nn.Module):
        pass

    class Segmentor(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.decode_head = Mask2FormerHead()

        def encode_decode(self, inputs: torch.Tensor, metas: Any) -> torch.Tensor:
            return torch.tensor([0.8, 0.1]).view(1, 2, 1, 1)

    model = Segmentor()
    attach_shift(model, torch.tensor([0.0, 3.0]), torch.tensor([0.0, 3.0]))
    scores = model.encode_decode(None, None).flatten()
    assert scores.tolist() == pytest.approx([np.log(0.8), np.log(0.1) + 3.0], abs=1e-4)


def test_wrong_number_of_channels() -> None:
    class Segmentor(torch.nn.Module):
        decode_head = None

        def encode_decode(self, inputs: torch.Tensor) -> torch.Tensor:
            return torch.zeros(1, 1, 2, 2)

    model = Segmentor()
    attach_shift(model, torch.zeros(3), torch.zeros(3))
    with pytest.raises(ValueError, match='1 channels but the prior has 3'):
        model.encode_decode(torch.zeros(1))


def test_a_binary_head_of_one_channel_gets_the_difference() -> None:
    class Segmentor(torch.nn.Module):
        decode_head = None

        def encode_decode(self, inputs: torch.Tensor) -> torch.Tensor:
            return torch.zeros(1, 1, 2, 2)

    model = Segmentor()
    attach_shift(model, torch.tensor([-1.0, 2.0]), torch.zeros(2))
    assert model.encode_decode(torch.zeros(1)).flatten().tolist() == [3.0] * 4


# Heads of mmdet ------------------------------------------------------------------------------------


@pytest.fixture
def mmdet_heads() -> dict[str, torch.nn.Module]:
    pytest.importorskip('mmdet.models')
    from mmdet.models.dense_heads import DETRHead, RetinaHead
    from mmdet.models.roi_heads.bbox_heads import Shared2FCBBoxHead
    from mmengine.registry import DefaultScope

    anchors = {
        'type': 'AnchorGenerator', 'octave_base_scale': 4, 'scales_per_octave': 2, 'ratios': [1.0], 'strides': [8]
    }
    with DefaultScope.overwrite_default_scope('mmdet'):
        focal = {'type': 'FocalLoss', 'use_sigmoid': True, 'gamma': 2.0, 'alpha': 0.25, 'loss_weight': 1.0}
        return {
            'roi': Shared2FCBBoxHead(in_channels=2, roi_feat_size=2, fc_out_channels=8, num_classes=3),
            'dense': RetinaHead(
                num_classes=3, in_channels=3, stacked_convs=1, feat_channels=4, anchor_generator=anchors,
                loss_cls=focal,
            ),
            'query': DETRHead(
                num_classes=3, embed_dims=8, train_cfg=None, loss_cls={'type': 'CrossEntropyLoss', 'use_sigmoid': False}
            ),
        }


INPUTS = {
    'roi': torch.randn(5, 2, 2, 2, generator=torch.Generator().manual_seed(0)),
    'dense': (torch.randn(1, 3, 4, 4, generator=torch.Generator().manual_seed(0)),),
    'query': torch.randn(2, 1, 6, 8, generator=torch.Generator().manual_seed(0)),
}


@pytest.mark.parametrize('kind', ['roi', 'dense', 'query'])
def test_mmdet_heads(mmdet_heads: dict[str, torch.nn.Module], kind: str) -> None:
    shift = torch.tensor([0.5, -1.0, 3.0])
    head = mmdet_heads[kind].eval()
    model = torch.nn.ModuleDict({'head': head})
    before = head(INPUTS[kind])[0]
    removers = attach_shift(model, shift * 9, shift)  # detection takes the centred shift
    after = head(INPUTS[kind])[0]
    if kind == 'dense':
        expected = before[0] + shift.repeat(2).view(1, 6, 1, 1)
        assert torch.allclose(after[0], expected)
    else:
        assert torch.allclose(after, before + torch.cat([shift, torch.zeros(1)]))
    head.train()
    trained = head(INPUTS[kind])[0]
    assert torch.equal(trained[0], before[0])  # never while training
    for remove in removers:
        remove()
    unchanged = head.eval()(INPUTS[kind])[0]
    assert torch.equal(unchanged[0], before[0])


def test_a_model_without_a_known_head_is_an_error() -> None:
    with pytest.raises(TypeError, match='no head with 3 classes'):
        attach_shift(torch.nn.Linear(2, 2), torch.zeros(3), torch.zeros(3))
