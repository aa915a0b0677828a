"""The semi-supervised detector on real mmdet detectors."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from typing import Any

import pytest
import torch

pytest.importorskip('mmdet')

from mmengine.registry import DefaultScope

from imbdense.mm.detectors.mean_teacher_detector import MeanTeacherDetector
from tests.helpers.two_ranks import run_two_ranks
from tests.mm.detectors.cases import FIXED, KINDS, branches, semi, teacher_says
from tests.mm.heads.tiny_detectors import WITHOUT_BOXES, batch, two_stage

BOXES = [[8.0, 8, 24, 24], [30.0, 30, 46, 46], [4.0, 40, 20, 60]]


@pytest.fixture(autouse=True)
def mmdet_scope() -> Iterator[None]:
    """As in a run of mmdet, whatever scope another test has left."""
    with DefaultScope.overwrite_default_scope('mmdet'):
        yield


def step(model: Any, seed: int = 0) -> dict[str, Any]:
    """Losses of one batch."""
    return dict(model.loss(*branches(seed)))


@pytest.mark.parametrize('kind', KINDS)
def test_two_steps_and_predict(kind: str) -> None:
    """Finite losses, gradients in the student alone, predictions of the teacher."""
    model = semi(kind)
    teacher_says(model, BOXES, [0.9, 0.3, 0.1], [0, 1, 2])
    optimizer = torch.optim.SGD(model.student.parameters(), lr=1e-4)
    for seed in range(2):
        loss, values = model.parse_losses(step(model, seed))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        assert all(math.isfinite(float(value)) for value in values.values()), values
        assert float(values['stat_pseudo_kept']) == 1 and float(values['stat_pseudo_ignored']) == 1
        assert float(values['unsup_loss_cls']) > 0 and float(values['unsup_loss_bbox']) > 0
    assert all(parameter.grad is None for parameter in model.teacher.parameters())
    assert model.iteration == 2 and not model.teacher.training and model.student.training
    del model.teacher.__dict__['predict']
    images, samples = batch(WITHOUT_BOXES)
    found = model.eval().predict(images, samples)
    expected = model.teacher.predict(images, batch(WITHOUT_BOXES)[1])
    assert torch.equal(found[0].pred_instances.bboxes, expected[0].pred_instances.bboxes)


@pytest.mark.parametrize('kind', KINDS)
def test_no_pseudo_box_is_zero_with_a_graph_under_the_same_names(kind: str) -> None:
    model = semi(kind)
    teacher_says(model, BOXES, [0.9, 0.9, 0.9], [0, 1, 2])
    names = set(step(model))
    teacher_says(model, [], [], [])
    for parameter in model.student.parameters():
        parameter.grad = None
    losses = step(model)
    assert set(losses) == names
    unsupervised = {name: value for name, value in losses.items() if name.startswith('unsup_loss')}
    total = sum(sum(value) if isinstance(value, list) else value for value in unsupervised.values())
    assert float(total) == 0.0
    total.backward()
    grads = [parameter.grad for name, parameter in model.student.named_parameters()
             if parameter.requires_grad and 'head' in name]
    assert all(grad is not None and not grad.any() for grad in grads)


def test_burn_in_and_ramp() -> None:
    """Zeros under the same names first, the teacher is not asked; then the weight rises."""
    model = semi('retina', burn_in=2, ramp_up=2, unsup_weight=4.0)
    teacher_says(model, BOXES, [0.9, 0.3, 0.1], [0, 1, 2])
    full = semi('retina', unsup_weight=4.0)
    teacher_says(full, BOXES, [0.9, 0.3, 0.1], [0, 1, 2])
    expected = step(full)
    found = [step(model) for _ in range(4)]
    assert [set(losses) for losses in found] == [set(expected)] * 4
    shares = [float(sum(losses['unsup_loss_cls'])) / float(sum(expected['unsup_loss_cls'])) for losses in found]
    assert shares == pytest.approx([0, 0, 0.5, 1.0], rel=1e-4)


def test_the_band_is_no_background() -> None:
    """Ignoring a box costs less than calling its place background, and is not the same as calling it an object."""
    losses = {}
    for name, score, negative in (('object', 0.9, 0.2), ('band', 0.3, 0.2), ('dropped', 0.3, None)):
        model = semi('retina', pseudo_labeler={**FIXED, 'negative': negative})
        teacher_says(model, [[4.0, 40, 20, 60], BOXES[1]], [0.9, score], [2, 1])
        losses[name] = float(sum(step(model)['unsup_loss_cls']))
    assert losses['band'] < losses['dropped']
    assert losses['band'] != pytest.approx(losses['object'], rel=1e-3)


def test_geometry_of_the_views() -> None:
    """A box on a flipped weak view lands mirrored on the strong one; what leaves the picture is dropped."""
    model = semi('retina')
    teacher_says(model, [[8.0, 8, 24, 24], [50.0, 0, 64, 10]], [0.9, 0.9], [0, 1])
    _, samples = branches()
    weak, strong = samples['unsup_teacher'], samples['unsup_student']
    weak[0].set_metainfo({'homography_matrix': torch.tensor([[-1.0, 0, 64], [0, 1, 0], [0, 0, 1]]).numpy()})
    strong[0].set_metainfo({'homography_matrix': torch.tensor([[1.0, 0, -14], [0, 1, 0], [0, 0, 1]]).numpy()})
    model.label({'unsup_teacher': torch.zeros(2, 3, 64, 64)}, samples)
    assert strong[0].gt_instances.bboxes.tolist() == [[26, 8, 42, 24]]
    assert strong[1].gt_instances.bboxes.tolist() == [[8, 8, 24, 24], [50, 0, 64, 10]]


def test_rule_follows_the_training() -> None:
    """A rule that counts is updated in train mode only, and its thresholds differ per class."""
    rule = {'type': 'imbdense.ClassBalancedThreshold', 'start': 0.5, 'end': 0.5, 'round_steps': 2}
    model = semi('retina', pseudo_labeler=rule)
    teacher_says(model, BOXES, [0.9, 0.5, 0.7], [0, 1, 1])
    step(model)
    assert model.pseudo_labeler.thresholds().tolist() == pytest.approx([0.9] * 3)
    step(model)
    assert model.pseudo_labeler.thresholds().tolist() == pytest.approx([0.9, 0.7, 0.9], abs=2e-3)
    saved = copy.deepcopy(model.pseudo_labeler.state_dict())
    _, samples = branches()
    model.eval()
    model.label({'unsup_teacher': torch.zeros(2, 3, 64, 64)}, samples)
    assert all(torch.equal(value, saved[name]) for name, value in model.pseudo_labeler.state_dict().items())


def test_state_is_saved_and_a_plain_detector_loads_into_both() -> None:
    model = semi('retina', burn_in=3)
    step(model)
    other = semi('retina', seed=1, burn_in=3)
    other.load_state_dict(model.state_dict())
    assert other.iteration == 1
    assert all(torch.equal(a, b) for a, b in zip(other.state_dict().values(), model.state_dict().values()))
    plain = semi('retina', seed=2).student.state_dict()
    missing, _ = other.load_state_dict(plain, strict=False)
    assert not [name for name in missing if 'student' in name or 'teacher' in name]
    assert torch.equal(other.teacher.state_dict()['backbone.conv1.weight'], plain['backbone.conv1.weight'])


def test_teacher_starts_as_the_student() -> None:
    model = semi('atss')
    pairs = zip(model.student.state_dict().values(), model.teacher.state_dict().values())
    assert all(torch.equal(a, b) for a, b in pairs)


def test_errors() -> None:
    for changes, words in (
        ({'unsup_weight': -1.0}, 'unsup_weight'), ({'burn_in': -1}, 'burn_in'), ({'predict_on': 'both'}, 'predict_on'),
        ({'ignore_iof_thr': 0.0}, 'ignore_iof_thr'),
        ({'pseudo_labeler': {**FIXED, 'threshold': [0.5, 0.5]}}, 'threshold'),
        ({'pseudo_labeler': {**FIXED, 'num_classes': 4}}, 'num_classes'),
    ):
        with pytest.raises(ValueError, match=words):
            semi('retina', **changes)
    with pytest.raises(ValueError, match='masks'):
        MeanTeacherDetector(two_stage('MaskRCNN'), FIXED)


def test_blind_head_is_warned_of() -> None:
    from tests.mm.heads.tiny_detectors import single_stage

    with pytest.warns(UserWarning, match='SamplingFreeFoveaHead disregards ignored boxes'):
        MeanTeacherDetector(single_stage('fovea'), FIXED)


def ranks_step() -> tuple[list[str], list[float]]:
    """One step; only the second rank has pseudo boxes."""
    from torch.nn.parallel import DistributedDataParallel

    class Step(torch.nn.Module):
        """What DDP wraps."""

        def __init__(self, model: Any) -> None:
            super().__init__()
            self.model = model

        def forward(self, data: Any) -> Any:
            return self.model.loss(*data)

    rule = {'type': 'imbdense.ClassBalancedThreshold', 'start': 1.0, 'end': 1.0, 'round_steps': 1}
    model = semi('faster', pseudo_labeler=rule)
    rank = torch.distributed.get_rank()
    teacher_says(model, BOXES[: 2 * rank], [0.95, 0.92][: 2 * rank], [0, 1][: 2 * rank])
    losses = DistributedDataParallel(Step(model))(branches(rank))
    model.parse_losses(losses)[0].backward()
    return sorted(losses), model.pseudo_labeler.thresholds().tolist()


@pytest.mark.slow
def test_two_ranks_with_boxes_on_one() -> None:
    """Same names, no rank waits for the other, and thresholds from what both have seen."""
    first, second = run_two_ranks(ranks_step)
    assert first == second
    assert first[1] == pytest.approx([0.95, 0.92, 0.9], abs=2e-3)


def test_bf16_autocast() -> None:
    model = semi('retina')
    teacher_says(model, BOXES, [0.9, 0.3, 0.1], [0, 1, 2])
    with torch.autocast('cpu', torch.bfloat16):
        loss, _ = model.parse_losses(step(model))
    loss.backward()
    assert math.isfinite(float(loss))


