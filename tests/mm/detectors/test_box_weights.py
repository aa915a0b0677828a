"""The loss of each box with a weight of its own."""

from __future__ import annotations

import warnings
from typing import Any

import pytest
import torch

pytest.importorskip('mmdet')

from mmengine.structures import InstanceData

from imbdense.mm.detectors.box_weights import weighted_boxes, weightless_heads
from tests.mm.detectors.cases import branches, semi, teacher_says

WEIGHTED = ('retina', 'atss', 'faster')


def student(kind: str) -> Any:
    """A detector of boxes."""
    return semi(kind).student


def two_boxes() -> tuple[torch.Tensor, Any]:
    """Images with a box of class 1 and one of class 2 each; the second image has them the other way round."""
    inputs, samples = branches()
    boxes = torch.tensor([[4.0, 4, 26, 26], [30, 30, 58, 58]])
    for sample, labels in zip(samples['unsup_student'], ([1, 2], [2, 1])):
        sample.gt_instances = InstanceData(bboxes=boxes, labels=torch.tensor(labels), scores=torch.ones(2))
        sample.ignored_instances = InstanceData(bboxes=boxes[:0], labels=torch.zeros(0, dtype=torch.int64))
    return inputs['unsup_student'], samples['unsup_student']


def losses(model: Any, weights: list[list[float]] | None) -> dict[str, float]:
    """Every term, with the same draws of the samplers."""
    inputs, samples = two_boxes()
    torch.manual_seed(0)
    if weights is None:
        found = model.loss(inputs, samples)
    else:
        with weighted_boxes(model, [torch.tensor(row) for row in weights]):
            found = model.loss(inputs, samples)
    return {name: float((sum(value) if isinstance(value, list) else value).detach())
            for name, value in found.items() if 'loss' in name}


@pytest.mark.parametrize('kind', WEIGHTED)
def test_each_positive_has_the_weight_of_its_box(kind: str) -> None:
    """Read from what the class loss of the (last) head is called with: label 1 and 2 tell the box."""
    model = student(kind)
    head = model.roi_head.bbox_head if kind == 'faster' else model.bbox_head
    seen: list[tuple[torch.Tensor, torch.Tensor]] = []
    handle = head.loss_cls.register_forward_pre_hook(lambda module, args: seen.append(args[1:3]))
    losses(model, None)
    losses(model, [[0.25, 0.5], [0.5, 0.25]])  # class 1 weighs .25, class 2 .5
    handle.remove()
    plain, weighted = seen[: len(seen) // 2], seen[len(seen) // 2 :]
    numbers = torch.zeros(4)
    for (labels, before), (same, after) in zip(plain, weighted, strict=True):
        labels, before, after = labels.reshape(-1), before.reshape(-1), after.reshape(-1)
        assert torch.equal(labels, same.reshape(-1))
        factor = torch.where(labels == 1, 0.25, torch.where(labels == 2, 0.5, 1.0))
        assert torch.equal(after, before * factor)
        numbers += torch.bincount(labels, minlength=4)
    assert (numbers[1:3] > 0).all()


@pytest.mark.parametrize('kind', WEIGHTED)
def test_terms_are_affine_in_the_weights(kind: str) -> None:
    model = student(kind)
    ones = losses(model, [[1.0, 1.0], [1.0, 1.0]])
    assert ones == pytest.approx(losses(model, None), rel=1e-6)
    middle, low = losses(model, [[0.55, 1.0], [1.0, 1.0]]), losses(model, [[0.1, 1.0], [1.0, 1.0]])
    for name, value in ones.items():
        assert value + low[name] == pytest.approx(2 * middle[name], rel=1e-4), name
    assert low['loss_cls'] < ones['loss_cls']
    assert (low['loss_bbox'] < ones['loss_bbox']) == (kind != 'atss'), 'ATSS weighs boxes by centerness alone'


@pytest.mark.parametrize('kind', WEIGHTED)
def test_nothing_is_left_behind_and_images_without_boxes_pass(kind: str) -> None:
    model = student(kind)
    before = losses(model, None)
    inputs, samples = two_boxes()
    for sample in samples:
        sample.gt_instances = sample.gt_instances[:0]
    with weighted_boxes(model, [torch.zeros(0)] * 2):
        found = model.loss(inputs, samples)
    assert all(bool(torch.isfinite(torch.as_tensor(v)).all()) for value in found.values()
               for v in (value if isinstance(value, list) else [value]))
    with pytest.raises(RuntimeError), weighted_boxes(model, [torch.ones(2)] * 2):
        raise RuntimeError
    assert losses(model, None) == before


def test_heads_without_weights_are_named() -> None:
    assert weightless_heads(student('fcos')) == ['FCOSHead']
    assert [weightless_heads(student(kind)) for kind in WEIGHTED] == [[], [], []]
    with pytest.warns(UserWarning, match='in FCOSHead every box counts alike'):
        semi('fcos', weigh_by_score=True)
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        semi('retina', weigh_by_score=True)


def test_student_learns_less_from_a_box_the_teacher_is_less_sure_of() -> None:
    """The box term is 0.6 of what it was; without the option scores change nothing."""
    terms = []
    for weigh, score in ((False, 0.6), (True, 0.6), (True, 1.0)):
        model = semi('retina', weigh_by_score=weigh)
        teacher_says(model, [[4.0, 4, 26, 26]], [score], [1])
        terms.append(model.parse_losses(model.loss(*branches()))[1])
    plain, less, full = (float(term['unsup_loss_cls']) for term in terms)
    assert full == pytest.approx(plain, rel=1e-6) and less < plain
    assert float(terms[1]['unsup_loss_bbox']) == pytest.approx(0.6 * float(terms[0]['unsup_loss_bbox']), rel=1e-5)
