"""AdaptiveScoreThrHook: the threshold of every kind of head, in training, and in a test run from a checkpoint."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

pytest.importorskip('mmdet')

from imbdense.core.stats import AssignedCounts
from imbdense.mm.hooks.adaptive_score_thr_hook import AdaptiveScoreThrHook
from imbdense.mm.predictor import Predictor
from imbdense.mm.prior import HUB_ASSIGNED
from tests.mm.assigned_counts import cases
from tests.mm.hooks.tiny_detection_run import runner

BIAS = {'type': 'imbdense.PriorBiasInitHook'}
ADAPTIVE = {'type': 'imbdense.AdaptiveScoreThrHook'}


@pytest.fixture(scope='module')
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp('coco')
    cases.write_coco(folder)
    return folder


def adaptive(config: Any) -> Any:
    """The switch in the test_cfg of the boxes."""
    (config.test_cfg.rcnn if 'rcnn' in config.test_cfg else config.test_cfg).score_thr = 'adaptive'
    return config


def counts_of(run: Any, path: str) -> AssignedCounts:
    return AssignedCounts.from_dict(run.message_hub.get_info(HUB_ASSIGNED)[path])


@pytest.mark.parametrize('per_class', [False, True])
def test_dense_head_in_training_and_in_a_test_run(per_class: bool, root: Path, tmp_path: Path) -> None:
    """The test run has no training data: the numbers come from the checkpoint, the config keeps the switch."""
    hooks = [BIAS, {**ADAPTIVE, 'per_class': per_class}]
    first = runner(root, tmp_path / 'a', adaptive(cases.retinanet()), hooks=hooks)
    first.train()
    found = counts_of(first, 'bbox_head')
    expected = np.clip((found.foreground if per_class else found.num_foreground) / found.total, 1e-4, 0.05)
    assert np.asarray(first.model.bbox_head.test_cfg.score_thr) == pytest.approx(expected, rel=1e-5)
    assert first.cfg.model.test_cfg.score_thr == 'adaptive'
    checkpoint = torch.load(tmp_path / 'a' / 'epoch_1.pth', weights_only=False)
    assert "score_thr='adaptive'" in checkpoint['meta']['cfg']

    model = adaptive(cases.retinanet())
    again = runner(root, tmp_path / 'b', model, hooks=hooks, load_from=str(tmp_path / 'a' / 'epoch_1.pth'))
    again.cfg.pop('train_dataloader')
    again._train_dataloader = None
    assert HUB_ASSIGNED not in again.message_hub.runtime_info
    again.test()
    assert np.asarray(again.model.bbox_head.test_cfg.score_thr) == pytest.approx(expected, rel=1e-5)

    predictor = Predictor(first.cfg, tmp_path / 'a' / 'epoch_1.pth', 'cpu')  # `imbdense predict`
    assert np.asarray(predictor.model.bbox_head.test_cfg.score_thr) == pytest.approx(expected, rel=1e-5)
    assert predictor(root / 'images' / 'train' / '001.png').boxes is not None


def test_it_measures_when_no_other_hook_does(root: Path, tmp_path: Path) -> None:
    run = runner(root, tmp_path, adaptive(cases.fcos()), hooks=[{**ADAPTIVE, 'high': 0.5}])
    before = run.model.bbox_head.conv_cls.bias.detach().clone()
    run.train()
    assert run.model.bbox_head.test_cfg.score_thr == pytest.approx(counts_of(run, 'bbox_head').foreground_share)
    assert (run.model.bbox_head.conv_cls.bias - before).abs().max() < 5  # no prior bias was set


def sized(root: Path) -> Any:
    """Images with a scale factor, which predictions need."""
    return cases.build_dataset(root, {'type': 'Resize', 'scale': (160, 160), 'keep_ratio': True})


def predictions(model: Any, dataset: Any, index: int = 1) -> Any:
    """Boxes of one image."""
    from mmengine.dataset import pseudo_collate

    model.eval()
    with torch.no_grad():
        data = model.data_preprocessor(pseudo_collate([dataset[index]]), False)
        return model(**data, mode='predict')[0].pred_instances


def installed(model: Any, per_class: bool, foreground: list[int], **limits: float) -> Any:
    """The model with the thresholds of made-up counts in place."""
    from types import SimpleNamespace

    from mmengine.logging import MessageHub

    path = 'roi_head.bbox_head' if hasattr(model, 'roi_head') else 'bbox_head'
    if path == 'roi_head.bbox_head' and hasattr(model.roi_head.bbox_head, '__len__'):
        path += f'.{len(model.roi_head.bbox_head) - 1}'
    hub = MessageHub.get_instance('adaptive')
    counts = AssignedCounts(cases.CLASSES, foreground, 1000 - sum(foreground))
    hub.update_info(HUB_ASSIGNED, {path: counts.to_dict()})
    hook = AdaptiveScoreThrHook(per_class=per_class, **limits)
    for _ in range(2):  # every validation installs anew
        hook.before_val(SimpleNamespace(model=model, message_hub=hub))
    return model


@pytest.mark.parametrize('stages', [0, 1, 3])
def test_each_class_has_its_own_threshold(stages: int, root: Path) -> None:
    """Thresholds that only one class can pass: only its boxes are left, in dense, RoI and cascade heads."""
    config = cases.two_stage(max(stages, 1)) if stages else cases.retinanet(cases.SOFTMAX_CE)
    (config.test_cfg.rcnn if stages else config.test_cfg).update(max_per_img=5000, nms_pre=5000)
    dataset = sized(root)
    whole = predictions(cases.build(config), dataset)
    assert set(whole.labels.tolist()) == {0, 1, 2}
    for passing in range(3):
        foreground = [300, 300, 300]
        foreground[passing] = 1
        model = installed(cases.build(adaptive(config.copy())), True, foreground, low=0.001, high=0.9)
        found = predictions(model, dataset)
        assert len(found) and set(found.labels.tolist()) == {passing}


def test_one_threshold_for_all(root: Path) -> None:
    dataset = sized(root)
    for foreground, some in ((1, True), (990, False)):
        model = installed(cases.build(adaptive(cases.two_stage())), False, [foreground, 0, 0], low=0.0, high=1.0)
        assert bool(len(predictions(model, dataset))) is some


def test_a_checkpoint_without_numbers_is_refused(root: Path, tmp_path: Path) -> None:
    torch.save({'state_dict': cases.build(cases.retinanet()).state_dict()}, tmp_path / 'weights.pth')
    run = runner(root, tmp_path, adaptive(cases.retinanet()), hooks=[ADAPTIVE], load_from=str(tmp_path / 'weights.pth'))
    with pytest.raises(ValueError, match=r"score_thr='adaptive' of bbox_head needs the counted.*holds none"):
        run.test()


def test_a_head_that_is_not_known_is_refused() -> None:
    from torch import nn

    from imbdense.mm.hooks.adaptive_score_thr_hook import adaptive_owners

    model = nn.Module()
    model.head = nn.Module()
    model.head.conv_cls = nn.Conv2d(1, 1, 1)
    model.other = nn.Module()
    model.other.test_cfg = {'score_thr': 'adaptive'}
    with pytest.raises(ValueError, match='for a head that is not known'):
        adaptive_owners(model)
    model.other.test_cfg = {'score_thr': 0.05}
    assert adaptive_owners(model) == []


def test_limits_are_checked() -> None:
    with pytest.raises(ValueError, match='high must be a finite number'):
        AdaptiveScoreThrHook(low=0.1, high=0.01)
