"""U2PL's contrast: by hand, missing classes, who becomes a negative, the memory itself."""

from __future__ import annotations

import math

import pytest
import torch

from imbdense.core.losses import ContrastPixels, memory_contrast_loss
from imbdense.core.stats import ClassQueue


def pixels(**changes: torch.Tensor) -> ContrastPixels:
    """Four labelled pixels of the classes 0, 0, 2, 2 of four, features along the axes; class 1 and 3 are missing."""
    axes = torch.eye(3)
    base = {
        'features': axes[[0, 0, 1, 1]].clone().requires_grad_(),
        'keys': axes[[0, 0, 1, 1]].clone(),
        'label': torch.tensor([0, 0, 2, 2]),
        'probs': torch.tensor([[0.7, 0.1, 0.1, 0.1]] * 2 + [[0.1, 0.1, 0.7, 0.1]] * 2),
        'labeled': torch.ones(4, dtype=torch.bool),
        'reliable': torch.ones(4, dtype=torch.bool),
        'unreliable': torch.zeros(4, dtype=torch.bool),
    }
    return ContrastPixels(**{**base, **changes})


def filled_bank(classes: int = 4) -> ClassQueue:
    """Every class has two negatives along the third axis."""
    bank = ClassQueue(classes, 3, 5)
    bank.push(torch.eye(3)[2].expand(2 * classes, 3), torch.arange(2 * classes) % classes)
    return bank


def test_by_hand() -> None:
    """Anchor = positive, negatives orthogonal: -log(e^2 / (e^2 + 6)) for both classes present, at temperature 1/2."""
    loss = memory_contrast_loss(pixels(), filled_bank(), anchors=3, negatives=6)
    assert float(loss) == pytest.approx(math.log((math.exp(2) + 6) / math.exp(2)), rel=1e-6)


def test_a_missing_class_does_not_shift_the_others() -> None:
    """Class 2 has an empty bank, class 1 a full one: only class 0 counts, and is divided by the two classes present."""
    bank = filled_bank()
    bank.entered[2] = 0
    loss = memory_contrast_loss(pixels(), bank, anchors=3, negatives=6)
    assert float(loss) == pytest.approx(math.log((math.exp(2) + 6) / math.exp(2)) / 2, rel=1e-6)


@pytest.mark.parametrize('label', [[0, 0, 0, 0], [255, 255, 255, 255]])
def test_fewer_than_two_classes_is_zero_with_a_graph(label: list[int]) -> None:
    batch = pixels(label=torch.tensor(label))
    loss = memory_contrast_loss(batch, filled_bank(), anchors=3, negatives=6)
    loss.backward()
    assert loss.item() == 0 and torch.isfinite(batch.features.grad).all() and not batch.features.grad.any()


def test_low_confidence_makes_no_anchor() -> None:
    batch = pixels(probs=torch.full((4, 4), 0.25))
    assert memory_contrast_loss(batch, filled_bank(), anchors=3, negatives=6).item() == 0


def test_gradient_pulls_to_the_positive() -> None:
    features = torch.tensor([[1.0, 0, 0.5], [1, 0, 0.5], [0, 1, 0.5], [0, 1, 0.5]], requires_grad=True)
    batch = pixels(features=features)
    memory_contrast_loss(batch, filled_bank(), anchors=20, negatives=6).backward()
    assert (features.grad[:, 2] > 0).all(), 'away from the negatives, which lie along the third axis'
    assert (features.grad[:2, 0] < 0).all() and (features.grad[2:, 1] < 0).all()


def test_negatives_of_unlabelled_pixels_are_the_unreliable_ones_of_middle_rank() -> None:
    """Five classes, ranks [1, 3): an unreliable pixel goes to the classes at rank 1 and 2 and to no other."""
    bank = ClassQueue(5, 3, 4)
    batch = pixels(
        label=torch.full((4,), 255),
        probs=torch.tensor([[0.4, 0.3, 0.15, 0.1, 0.05]] * 4),
        labeled=torch.zeros(4, dtype=torch.bool),
        reliable=torch.zeros(4, dtype=torch.bool),
        unreliable=torch.tensor([True, False, False, False]),
    )
    memory_contrast_loss(batch, bank, anchors=2, negatives=2, ranks=(1, 3))
    assert bank.filled.tolist() == [0, 1, 1, 0, 0]
    assert bank.rows[1, 0].tolist() == [1, 0, 0]


def test_negatives_of_labelled_pixels_are_those_confused_with_the_class() -> None:
    """Label 0, ranks 0 > 2 > 1 > 3; first two ranks: the pixel is a negative of class 2, not of its own class."""
    bank = ClassQueue(4, 3, 4)
    batch = pixels(
        label=torch.tensor([0, 255, 255, 255]), probs=torch.tensor([[0.5, 0.1, 0.35, 0.05]] * 4),
        unreliable=torch.tensor([True, False, False, False]),
    )  # fmt: skip
    memory_contrast_loss(batch, bank, anchors=2, negatives=2, ranks=(2, 4))
    assert bank.filled.tolist() == [0, 0, 1, 0]


@pytest.mark.parametrize('most', [1, 5, 7, 20])
def test_every_negative_enters_the_memory_once(most: int) -> None:
    """Seven negatives of class 2: all of them, or as many different ones as may be added."""
    keys = torch.nn.functional.normalize(torch.arange(24.0).reshape(8, 3).sin(), dim=1)
    batch = ContrastPixels(
        features=keys.clone().requires_grad_(), keys=keys, label=torch.tensor([0] * 7 + [255]),
        probs=torch.tensor([[0.5, 0.1, 0.35, 0.05]] * 8), labeled=torch.ones(8, dtype=torch.bool),
        reliable=torch.zeros(8, dtype=torch.bool), unreliable=torch.arange(8) < 7,
    )  # fmt: skip
    seen = torch.zeros(7)
    for _ in range(400):
        bank = ClassQueue(4, 3, 20)
        memory_contrast_loss(batch, bank, anchors=most, negatives=2, ranks=(2, 4))
        assert bank.filled.tolist() == [0, 0, min(most, 7), 0]
        equal = (bank.rows[2, : min(most, 7), None] == keys[None, :7]).all(2)
        assert equal.sum(0).max() == 1 and equal.any(1).all()
        seen += equal.any(0)
    assert seen.min() > 0.5 * seen.mean()


def test_classes_can_be_renumbered() -> None:
    """The same batch with the classes in another order gives the same loss: nothing depends on the position."""
    order = torch.tensor([3, 1, 0, 2])
    losses = []
    for change in (False, True):
        torch.manual_seed(0)
        batch = pixels()
        bank = ClassQueue(4, 3, 5)
        keys = torch.nn.functional.normalize(torch.arange(24.0).reshape(4, 2, 3).sin(), dim=2)
        bank.push((keys[order.argsort()] if change else keys).flatten(0, 1), torch.arange(4).repeat_interleave(2))
        if change:
            batch = pixels(label=order[batch.label], probs=batch.probs[:, order.argsort()])
        losses.append(memory_contrast_loss(batch, bank, anchors=4000, negatives=50).item())
    assert losses[0] == pytest.approx(losses[1], rel=1e-2)
