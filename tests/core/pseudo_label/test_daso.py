"""DASO: blending by the bias of the pseudo-labels, prototypes, the class-balanced queue."""

from __future__ import annotations

import pytest
import torch

from imbdense.core.pseudo_label import DASOBlender, daso_blend, prototype_probs
from tests.core.pseudo_label.rules import draw_probs


def test_blend_by_hand() -> None:
    found = daso_blend(torch.tensor([0.6, 0.3, 0.09, 0.01]))
    assert found.tolist() == pytest.approx([1, 0.63, 0.2823, 0.0652], abs=1e-4)
    assert daso_blend(torch.zeros(3, dtype=torch.int64)).tolist() == [0, 0, 0]


def test_prototype_probabilities_by_hand() -> None:
    prototypes = torch.tensor([[2.0, 0], [0, 3.0], [9, 9]])
    known = torch.tensor([True, True, False])
    found = prototype_probs(torch.tensor([[5.0, 0], [1, 1]]), prototypes, known, temperature=0.5)
    assert found[0].tolist() == pytest.approx([1 / (1 + 2.718281828**-2), 1 / (1 + 2.718281828**2), 0])
    assert found[1].tolist() == pytest.approx([0.5, 0.5, 0])
    nothing = prototype_probs(torch.ones(1, 2), prototypes, torch.zeros(3, dtype=torch.bool))
    assert nothing[0].tolist() == pytest.approx([1 / 3] * 3)


def test_an_image_is_remembered_by_its_class_means() -> None:
    blender, features = DASOBlender(3, feature_dim=2), torch.arange(8.0).view(1, 2, 2, 2)
    labels = torch.zeros(1, 8, 8, dtype=torch.int64)
    labels[0, 7, 7], labels[0, 0, 0] = 1, 255  # one pixel of class 1, smaller than a cell
    blender.remember(features, labels)
    assert blender.queue.filled.tolist() == [1, 1, 0]
    assert blender.queue.mean()[1].tolist() == [3, 7]
    shares = torch.tensor([15.0, 16, 16, 15])
    assert blender.queue.mean()[0, 0].item() == pytest.approx((shares @ torch.arange(4.0) / shares.sum()).item())


def test_the_blend_is_the_formula() -> None:
    blender = DASOBlender(3, feature_dim=3, history=2)
    blender.remember(torch.eye(3), torch.arange(3), ignore_index=-1)
    probs = torch.tensor([[0.7, 0.2, 0.1], [0.6, 0.3, 0.1], [0.1, 0.6, 0.3]])
    features = torch.tensor([[0.0, 0, 1], [1, 0, 0], [0, 1, 0.5]])
    assert torch.equal(blender(probs, None, features), probs)  # no history yet
    share = daso_blend(torch.tensor([2, 1, 0]))
    semantic = prototype_probs(features, torch.eye(3), torch.ones(3, dtype=torch.bool))
    m = share[torch.tensor([0, 0, 1])].unsqueeze(1)
    found = blender(probs, None, features)
    assert torch.allclose(found, (1 - m) * probs + m * semantic)
    assert found[0].argmax() == 2  # the frequent prediction gave way to the prototype of the rare class


def test_without_prototypes_nothing_changes() -> None:
    blender, probs = DASOBlender(3, feature_dim=4), draw_probs((2, 3, 8, 8))
    for _ in range(3):
        assert torch.equal(blender(probs, None, torch.randn(2, 4, 2, 2)), probs)


def test_features_may_be_smaller_than_the_map() -> None:
    blender, probs = DASOBlender(3, feature_dim=4), draw_probs((2, 3, 8, 8))
    features = torch.randn(2, 4, 2, 2)
    blender.remember(features, probs.argmax(1))
    blender(probs, None, features)
    found = blender(probs, None, features)
    assert torch.allclose(found.sum(1), torch.ones(()), atol=1e-5) and not torch.equal(found, probs)
    with pytest.raises(ValueError, match='features'):
        blender(probs)
    with pytest.raises(ValueError, match=r'rows \(P, 4\)'):
        blender.remember(torch.randn(2, 5), torch.zeros(2, dtype=torch.int64))


def test_old_steps_are_forgotten() -> None:
    blender = DASOBlender(2, feature_dim=1, history=2)
    for label in (0, 1, 1):
        blender(torch.eye(2)[[label]], None, torch.ones(1, 1))
    assert blender.recent.sum(0).tolist() == [0, 2]
