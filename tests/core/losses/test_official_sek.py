"""The released SeK loss: its formula, and the defects it is documented to have."""

from __future__ import annotations

import math

import pytest
import torch

from imbdense.core.losses import official_sek_loss, soft_sek_loss
from tests.core.losses.change_cases import CLASSES, certain, change_example


def example(**options):
    """Land logits with a channel for "unchanged"."""
    _, land_logits, change, lands = change_example(channels=CLASSES + 1, **options)
    return land_logits, change, lands


def sure(change, lands, sharpness):
    """Logits (with a channel for "unchanged") of a model that says ``lands``."""
    maps = certain(change, lands, sharpness)[1]
    return [torch.cat([torch.zeros_like(z[:, :1]), z], 1) for z in maps]


def test_hand_example() -> None:
    """One changed pixel of each of two classes, P = .8 for the right one, .1 for the other, .1 unchanged."""
    logits = torch.tensor([[0.1, 0.8, 0.1], [0.1, 0.1, 0.8]]).log().T.view(1, 3, 1, 2)
    land = torch.tensor([[[0, 1]]])
    po, pe = 1.6 / 1.8, 0.5
    kappa = (po - pe) / (1 - pe)
    iou = 0.8 / (0.9 + 1 - 0.8)
    expected = -math.log(kappa * math.exp(1.5 * iou)) - 0.5 * math.log(iou)
    loss = official_sek_loss([logits, logits], torch.ones(1, 1, 2, dtype=torch.long), [land, land])
    assert loss.item() == pytest.approx(max(0.0, expected), abs=1e-4)


def test_worse_than_chance_is_nan_and_ours_is_not() -> None:
    change_logits, _, change, lands = change_example(ignored=0.0)
    wrong = [torch.where(land < 255, (land + 1) % CLASSES, 255) for land in lands]
    logits = sure(change, wrong, 8.0)
    assert torch.isnan(official_sek_loss(logits, change, lands))
    assert torch.isfinite(soft_sek_loss(change_logits, [z[:, 1:] for z in logits], change, lands))


def test_an_absent_class_takes_all_the_weight() -> None:
    _, change, lands = example(ignored=0.0)
    without = [land.where(land != 3, 0) for land in lands]
    assert official_sek_loss(sure(change, without, 2.0), change, without) > 5
    assert official_sek_loss(sure(change, lands, 2.0), change, lands) < 2


def test_a_decent_model_gets_no_gradient() -> None:
    _, change, lands = example(ignored=0.0)
    logits = [z.detach().requires_grad_() for z in sure(change, lands, 4.0)]
    loss = official_sek_loss(logits, change, lands)
    loss.backward()
    assert loss == 0 and all((z.grad == 0).all() for z in logits)


def test_no_change_is_zero_with_a_graph_and_unknown_land_is_left_out() -> None:
    logits, change, lands = example()
    loss = official_sek_loss(logits, torch.zeros_like(change), lands)
    loss.backward()
    assert loss == 0 and (logits[0].grad == 0).all()
    assert torch.isfinite(official_sek_loss(logits, change, lands))


def test_the_change_map_is_not_in_it() -> None:
    """Its third defect: only the labels of change are looked at, so there is no argument for the prediction."""
    logits, change, lands = example()
    outside = [z.detach().clone() for z in logits]
    for z in outside:
        z.movedim(1, -1)[change != 1] = 5.0
    assert torch.equal(official_sek_loss(outside, change, lands), official_sek_loss(logits, change, lands))
