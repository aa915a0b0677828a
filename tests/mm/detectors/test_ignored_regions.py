"""Regions that a detector's loss leaves out."""

from __future__ import annotations

from typing import Any

import pytest
import torch

pytest.importorskip('mmdet')

from mmengine.structures import InstanceData

from imbdense.mm.detectors.ignored_regions import blind_heads, ignored_regions
from tests.mm.detectors.cases import KINDS, detector
from tests.mm.heads.tiny_detectors import batch, build, single_stage, two_stage

REGION = torch.tensor([[26.0, 26, 64, 64]])


def losses(model: Any, regions: list[torch.Tensor] | None) -> dict[str, torch.Tensor]:
    """Losses of one image with an object in its left half, the regions left out."""
    torch.manual_seed(0)
    images, samples = batch([[[2.0, 8, 24, 30]]])
    if regions is None:
        return detached(model.loss(images, samples))
    labels = torch.zeros(len(regions[0]), dtype=torch.int64)
    samples[0].ignored_instances = InstanceData(bboxes=regions[0], labels=labels)
    with ignored_regions(model, regions, 0.5):
        return detached(model.loss(images, samples))


def detached(losses: dict[str, Any]) -> dict[str, torch.Tensor]:
    """Each term as one number."""
    return {name: sum(value).detach() if isinstance(value, list) else value.detach() for name, value in losses.items()}


def unsure(kind: str) -> Any:
    """A detector whose background costs something: dense heads start with a bias that says background everywhere."""
    model = build(detector(kind))
    for name, parameter in model.named_parameters():
        if name.endswith(('retina_cls.bias', 'atss_cls.bias', 'conv_cls.bias')):
            torch.nn.init.zeros_(parameter)
    return model


def class_terms(found: dict[str, torch.Tensor]) -> list[str]:
    """Names of the class losses."""
    return [name for name in found if 'cls' in name and 'loss' in name]


@pytest.mark.parametrize('kind', KINDS)
def test_background_inside_a_region_costs_nothing(kind: str) -> None:
    """The class losses fall, by the anchors or points inside; afterwards everything is as before."""
    model = unsure(kind)
    plain, left_out, again = losses(model, None), losses(model, [REGION]), losses(model, None)
    for name in class_terms(plain):
        assert float(left_out[name]) != pytest.approx(float(plain[name]), rel=1e-4), name
    assert {name: float(value) for name, value in again.items()} == {n: float(v) for n, v in plain.items()}


@pytest.mark.parametrize('kind', KINDS)
def test_no_region_changes_nothing(kind: str) -> None:
    model = build(detector(kind))
    plain, none = losses(model, None), losses(model, [torch.zeros(0, 4)])
    assert {name: float(value) for name, value in none.items()} == {n: float(v) for n, v in plain.items()}


def test_points_of_fcos_exactly() -> None:
    """The class loss without the background points inside the region, summed by hand."""
    model = unsure('fcos')
    images, _ = batch([[[2.0, 8, 24, 30]]])
    head = model.bbox_head
    scores, _, _ = head(model.extract_feat(images))
    points = head.prior_generator.grid_priors([item.shape[-2:] for item in scores], device='cpu')
    kept = losses(model, [REGION])['loss_cls']
    truth = InstanceData(bboxes=torch.tensor([[2.0, 8, 24, 30]]), labels=torch.tensor([0]))
    labels = torch.cat(head.get_targets(points, [truth])[0])
    where = torch.cat(points)
    inside = ((where >= REGION[0, :2]) & (where <= REGION[0, 2:])).all(1) & (labels == head.num_classes)
    logits = torch.cat([item.permute(0, 2, 3, 1).reshape(-1, head.num_classes) for item in scores])
    slow = sum(
        float(head.loss_cls(logits[i : i + 1], labels[i : i + 1], avg_factor=1.0))
        for i in range(len(labels)) if not inside[i]
    )
    assert inside.sum() > 20
    assert float(kept) == pytest.approx(slow / max(1, int((labels < head.num_classes).sum())), rel=1e-4)


def test_settings_come_back_after_an_error() -> None:
    model = build(detector('faster'))
    before = model.roi_head.bbox_assigner.ignore_iof_thr
    with pytest.raises(RuntimeError, match='stop'), ignored_regions(model, [REGION], 0.5):
        assert model.roi_head.bbox_assigner.ignore_iof_thr == 0.5
        raise RuntimeError('stop')
    assert model.roi_head.bbox_assigner.ignore_iof_thr == before


def test_heads_that_disregard_regions_are_named() -> None:
    assert [blind_heads(build(detector(kind))) for kind in KINDS] == [[]] * 4
    assert blind_heads(build(two_stage('CascadeRCNN'))) == []
    assert blind_heads(build(single_stage('fovea'))) == ['SamplingFreeFoveaHead']
