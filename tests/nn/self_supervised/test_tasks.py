"""What all pretext tasks promise, and the values of the simple ones."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F

from imbdense.core.representation import rotate_images
from imbdense.nn.self_supervised import (
    DenseCLTask,
    JigsawTask,
    MoCoTask,
    PretextTask,
    RotationTask,
    SimSiamTask,
)
from tests.nn.self_supervised.backbones import tiny, views

OPTIONS: dict[type[PretextTask], dict[str, Any]] = {
    RotationTask: {}, JigsawTask: {}, SimSiamTask: dict(dim=16, prediction_dim=4),
    MoCoTask: dict(dim=8, queue_size=20), DenseCLTask: dict(dim=8, queue_size=20, grid=2),
}  # fmt: skip
each = pytest.mark.parametrize('cls', OPTIONS, ids=lambda cls: cls.__name__)


def build(cls: type[PretextTask], backbone: Any, **options: Any) -> Any:
    torch.manual_seed(2)
    task = cls(6, **(OPTIONS[cls] | options))
    task.attach(backbone)
    task.start(backbone)
    return task


def total(terms: dict[str, torch.Tensor]) -> torch.Tensor:
    return sum(value for key, value in terms.items() if 'loss' in key)


@each
def test_every_parameter_that_learns_gets_a_gradient(cls: type[PretextTask]) -> None:
    backbone = tiny()
    task = build(cls, backbone)
    total(task(backbone, views())).backward()
    for name, parameter in [*backbone.named_parameters(), *task.named_parameters()]:
        assert (parameter.grad is not None) == parameter.requires_grad, name
        assert parameter.grad is None or torch.isfinite(parameter.grad).all(), name
    learning = [name for name, parameter in task.named_parameters() if parameter.requires_grad]
    assert learning and not [name for name in learning if 'key_' in name]


@each
def test_bf16_autocast(cls: type[PretextTask]) -> None:
    backbone = tiny()
    task = build(cls, backbone)
    torch.manual_seed(3)
    with torch.autocast('cpu', torch.bfloat16):
        half = task(backbone, views())
    backbone = tiny()
    task = build(cls, backbone)
    torch.manual_seed(3)
    exact = task(backbone, views())
    assert all(value.dtype == torch.float32 for value in half.values())
    assert total(half).item() == pytest.approx(total(exact).item(), abs=0.08)
    total(half).backward()


@each
def test_state_goes_on_bit_for_bit(cls: type[PretextTask]) -> None:
    """Three steps in one go, or two, a copy of the state, and one more."""
    ends = []
    for interrupted in (False, True):
        backbone = tiny()
        task = build(cls, backbone)
        for step in range(3):
            if interrupted and step == 2:
                stored = [{k: v.clone() for k, v in m.state_dict().items()} for m in (backbone, task)]
                backbone = tiny(seed=9)
                task = build(cls, backbone)
                backbone.load_state_dict(stored[0])
                task.load_state_dict(stored[1])
            optimizer = torch.optim.SGD(
                [p for p in (*backbone.parameters(), *task.parameters()) if p.requires_grad], 0.1)
            torch.manual_seed(step)
            loss = total(task(backbone, views(seed=step)))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        ends.append({**backbone.state_dict(), **{f'task.{k}': v for k, v in task.state_dict().items()}})
    assert ends[0].keys() == ends[1].keys()
    assert not [key for key, value in ends[0].items() if not torch.equal(value, ends[1][key])]


@each
def test_a_wrong_map_is_named_with_those_there_are(cls: type[PretextTask]) -> None:
    backbone = tiny()
    with pytest.raises(ValueError, match=r'\[4, 6\]'):
        build(cls, backbone, in_index=0)(backbone, views())
    with pytest.raises(ValueError, match='in_index=5'):
        build(cls, backbone, in_index=5)(backbone, views())


@pytest.mark.parametrize(('cls', 'least'), [(SimSiamTask, 2), (MoCoTask, 4), (DenseCLTask, 4)])
def test_too_small_batches_are_named(cls: type[PretextTask], least: int) -> None:
    backbone = tiny()
    with pytest.raises(ValueError, match=f'at least {least}'):
        build(cls, backbone)(backbone, views(number=least - 1))


def test_rotation_by_hand() -> None:
    """The drawn turns, encoded and classified outside."""
    backbone = tiny().eval()
    task = build(RotationTask, backbone)
    images = views()[0]
    torch.manual_seed(4)
    terms = task(backbone, (images,))
    torch.manual_seed(4)
    first = int(torch.randint(4, (1,)))
    labels = ((torch.arange(8) + first) % 4)[torch.randperm(8)]
    embedding = backbone(rotate_images(images, labels))[1].mean((2, 3))
    expected = F.cross_entropy(task.classifier(embedding), labels)
    assert terms['loss_pretext'].item() == pytest.approx(expected.item(), rel=1e-6)
    assert sorted(labels.tolist()) == [0, 0, 1, 1, 2, 2, 3, 3]


@pytest.mark.parametrize('cls', [RotationTask, JigsawTask])
def test_the_task_can_be_learned(cls: type[PretextTask]) -> None:
    """Images that are brighter at the top left, without any noise."""
    rows, columns = torch.meshgrid(torch.linspace(1, 0, 8), torch.linspace(1, 0, 8), indexing='ij')
    image = torch.stack([rows, columns, rows * columns]) * 2
    backbone = tiny()
    task = build(cls, backbone)
    optimizer = torch.optim.Adam([*backbone.parameters(), *task.parameters()], 1e-2)
    for _ in range(60):
        terms = task(backbone, (image.expand(48, -1, -1, -1),))
        optimizer.zero_grad()
        terms['loss_pretext'].backward()
        optimizer.step()
    assert float(terms['stat_accuracy']) > 0.9


def test_simsiam_by_hand() -> None:
    """Both halves, with the projections of each view by itself."""
    backbone = tiny()
    task = build(SimSiamTask, backbone)
    one, two = views()
    terms = task(backbone, (one, two))
    z1, z2 = (task.projector(backbone(view)[1].mean((2, 3))) for view in (one, two))
    p1, p2 = task.predictor(z1), task.predictor(z2)
    expected = -(F.cosine_similarity(p1, z2) + F.cosine_similarity(p2, z1)).mean() / 2
    assert terms['loss_pretext'].item() == pytest.approx(expected.item(), rel=1e-5)


def test_simsiam_without_stop_gradient_would_have_another_gradient() -> None:
    """The gradient is that with constant targets."""
    backbone = tiny()
    task = build(SimSiamTask, backbone)
    one, two = views()
    task(backbone, (one, two))['loss_pretext'].backward()
    found = backbone.first[0].weight.grad.clone()
    for stop in (True, False):
        backbone.zero_grad()
        z1, z2 = (task.projector(backbone(view)[1].mean((2, 3))) for view in (one, two))
        t1, t2 = (z.detach() if stop else z for z in (z1, z2))
        loss = F.cosine_similarity(task.predictor(z1), t2) + F.cosine_similarity(task.predictor(z2), t1)
        (-loss.mean() / 2).backward()
        assert torch.allclose(found, backbone.first[0].weight.grad, atol=1e-6) == stop


def test_a_collapsed_backbone_is_told_by_the_spread() -> None:
    backbone = tiny()
    task = build(RotationTask, backbone)
    healthy = float(task(backbone, views())['stat_embedding_spread'])
    torch.nn.init.zeros_(backbone.second[1].weight)
    torch.nn.init.ones_(backbone.second[1].bias)
    assert healthy > 0.05 and float(task(backbone, views())['stat_embedding_spread']) < 1e-6
