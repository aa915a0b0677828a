"""SoftSeK: the worked example, the metric itself for sure predictions, every edge case."""

from __future__ import annotations

import math

import pytest
import torch

from imbdense.core.losses import soft_sek_from_table, soft_sek_loss, soft_sek_table
from tests.core.losses.change_cases import CLASSES, certain, change_example

MODES = ['linear', 'log']


def worked() -> tuple[torch.Tensor, list[torch.Tensor], torch.Tensor, list[torch.Tensor]]:
    """One date, S = 2, four pixels: pc = .9 .8 .1 .7, labels 1 2 0 1 (0 = unchanged)."""
    pc = torch.tensor([0.9, 0.8, 0.1, 0.7])
    q = torch.tensor([[0.9, 0.1], [0.2, 0.8], [0.5, 0.5], [0.6, 0.4]])
    label = torch.tensor([1, 2, 0, 1]).view(1, 1, 4)
    change_logits = torch.stack([1 - pc, pc]).log().view(1, 2, 1, 4)
    land = torch.where(label > 0, label - 1, 255)
    return change_logits, [q.T.log().reshape(1, 2, 1, 4)], (label > 0).long(), [land]


def test_worked_example() -> None:
    table = soft_sek_table(*worked())
    assert torch.allclose(table, torch.tensor([[0.9, 0.4, 0.2], [0.05, 1.23, 0.16], [0.05, 0.37, 0.64]]), atol=1e-6)
    kappa, overlap = 0.32032, 0.77419
    assert soft_sek_from_table(table).item() == pytest.approx(1 - 0.25558, abs=1e-5)
    assert soft_sek_from_table(table, 'log').item() == pytest.approx(-math.log((1 + kappa) / 2) + 1 - overlap, abs=1e-4)


def slow_table(change_logits, land_logits, change, lands):
    """Pixel by pixel."""
    table = torch.zeros(CLASSES + 1, CLASSES + 1, dtype=torch.float64)
    pc = change_logits.softmax(1)[:, 1]
    for logits, land in zip(land_logits, lands):
        q = logits.softmax(1)
        for n, y, x in torch.cartesian_prod(*[torch.arange(size) for size in change.shape]).tolist():
            if change[n, y, x] == 255 or (change[n, y, x] == 1 and land[n, y, x] == 255):
                continue
            column = int(land[n, y, x]) + 1 if change[n, y, x] == 1 else 0
            table[0, column] += 1 - pc[n, y, x]
            table[1:, column] += pc[n, y, x] * q[n, :, y, x]
    return table


def test_table_agrees_with_a_loop_over_pixels() -> None:
    example = change_example(dtype=torch.float64)
    assert torch.allclose(soft_sek_table(*example), slow_table(*example))


def test_sure_predictions_give_the_metric() -> None:
    """Hard decisions: one minus the SeK of the counted table, computed here once more."""
    change_logits, land_logits, change, lands = change_example(ignored=0.2)
    hard = [1e4 * torch.nn.functional.one_hot(z.argmax(1), z.shape[1]).movedim(-1, 1).float()
            for z in (change_logits, *land_logits)]  # fmt: skip
    counts = torch.zeros(CLASSES + 1, CLASSES + 1)
    for logits, land in zip(hard[1:], lands):
        predicted = torch.where(hard[0].argmax(1) == 1, logits.argmax(1) + 1, 0)
        label = torch.where(change == 1, land + 1, 0)
        for p, t in zip(predicted[(change != 255) & (label < 255)], label[(change != 255) & (label < 255)]):
            counts[p, t] += 1
    counts[0, 0] = 0
    total = counts.sum()
    expected = (counts.sum(0) * counts.sum(1)).sum() / total**2
    kappa = (counts.diagonal().sum() / total - expected) / (1 - expected)
    sek = kappa * torch.exp(counts[1:, 1:].sum() / total - 1)
    assert soft_sek_loss(hard[0], hard[1:], change, lands).item() == pytest.approx(1 - sek.item(), abs=1e-5)


@pytest.mark.parametrize('mode', MODES)
def test_gradcheck(mode: str) -> None:
    change_logits, land_logits, change, lands = change_example(dtype=torch.float64, shape=(1, 4, 3))
    assert torch.autograd.gradcheck(
        lambda z, a, b: soft_sek_loss(z, [a, b], change, lands, mode=mode), (change_logits, *land_logits)
    )


def cases() -> dict[str, tuple]:
    """Batches on which the released loss fails or learns nothing."""
    found = {}
    change_logits, land_logits, change, lands = change_example(ignored=0.0)
    found['ordinary'] = change_logits, land_logits, change, lands
    sure, sure_lands = certain(change, [(land + 1) % CLASSES for land in lands], 6.0)
    found['worse than chance'] = sure, sure_lands, change, lands
    found['class absent'] = change_logits, land_logits, change, [land.where(land != 3, 0) for land in lands]
    nothing = torch.zeros_like(change)
    found['no change'] = change_logits, land_logits, nothing, [torch.full_like(change, 255)] * 2
    everything = torch.ones_like(change)
    found['all changed'] = change_logits, land_logits, everything, [land.where(land != 255, 1) for land in lands]
    found['one class'] = change_logits, land_logits, everything, [torch.full_like(change, 2)] * 2
    return found


@pytest.mark.parametrize('mode', MODES)
@pytest.mark.parametrize('name', cases())
def test_finite_with_a_gradient(name: str, mode: str) -> None:
    change_logits, land_logits, change, lands = cases()[name]
    loss = soft_sek_loss(change_logits, land_logits, change, lands, mode=mode)
    gradient = torch.autograd.grad(loss, (change_logits, *land_logits), allow_unused=True)
    assert torch.isfinite(loss) and loss >= 0
    assert all(torch.isfinite(g).all() for g in gradient) and gradient[0].abs().sum() > 1e-6


def test_a_perfect_prediction_costs_nothing() -> None:
    _, _, change, lands = change_example(ignored=0.0)
    assert soft_sek_loss(*certain(change, lands), change, lands) < 0.02
    only = [torch.full_like(change, 2)] * 2
    assert soft_sek_loss(*certain(torch.ones_like(change), only), torch.ones_like(change), only) < 0.02


def test_without_change_it_is_the_mass_of_false_alarms() -> None:
    change_logits, land_logits, change, lands = cases()['no change']
    loss = soft_sek_loss(change_logits, land_logits, change, lands)
    assert loss.item() == pytest.approx(change_logits.softmax(1)[:, 1].mean().item(), rel=1e-5)


def test_nothing_labelled_is_zero_with_a_graph() -> None:
    change_logits, land_logits, change, lands = change_example()
    loss = soft_sek_loss(change_logits, land_logits, torch.full_like(change, 255), lands)
    loss.backward()
    assert loss == 0 and (change_logits.grad == 0).all() and (land_logits[0].grad == 0).all()


def test_ignored_pixels_get_no_gradient() -> None:
    change_logits, land_logits, change, lands = change_example(ignored=0.4)
    soft_sek_loss(change_logits, land_logits, change, lands).backward()
    assert (change_logits.grad.movedim(1, -1)[change == 255] == 0).all()
    unknown = (change == 1) & (lands[0] == 255)
    assert (land_logits[0].grad.movedim(1, -1)[unknown] == 0).all()


def test_twice_the_same_batch_and_exchanged_dates_change_nothing() -> None:
    change_logits, land_logits, change, lands = change_example()
    loss = soft_sek_loss(change_logits, land_logits, change, lands)
    twice = soft_sek_loss(
        torch.cat([change_logits] * 2), [torch.cat([z] * 2) for z in land_logits], torch.cat([change] * 2),
        [torch.cat([y] * 2) for y in lands],
    )  # fmt: skip
    swapped = soft_sek_loss(change_logits, land_logits[::-1], change, lands[::-1])
    assert [twice.item(), swapped.item()] == pytest.approx([loss.item()] * 2, rel=1e-5)


def test_bf16_autocast() -> None:
    change_logits, land_logits, change, lands = change_example()
    exact = soft_sek_loss(change_logits, land_logits, change, lands)
    with torch.autocast('cpu', torch.bfloat16):
        inside = soft_sek_loss(change_logits, land_logits, change, lands)
    assert torch.equal(exact, inside) and inside.dtype == torch.float32


def test_foreign_labels_are_named() -> None:
    change_logits, land_logits, change, lands = change_example()
    lands[1][0, 0, 0] = 77
    with pytest.raises(ValueError, match='77'):
        soft_sek_loss(change_logits, land_logits, change, lands)
    with pytest.raises(ValueError, match='one label map per date'):
        soft_sek_loss(change_logits, land_logits, change, lands[:1])
