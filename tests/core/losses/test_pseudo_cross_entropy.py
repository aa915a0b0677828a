"""Cross-entropy against pseudo-labels: three divisors by hand, nothing kept, padding, gradients."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from imbdense.core.losses import pseudo_cross_entropy


def case(dtype: torch.dtype = torch.float64) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 4, 5, 6, generator=generator, dtype=dtype)
    label = torch.randint(0, 3, (2, 5, 6), generator=generator)
    label[torch.rand(label.shape, generator=generator) < 0.5] = 255
    weight = torch.rand(label.shape, generator=generator)
    valid = torch.ones_like(label, dtype=torch.bool)
    valid[:, :, 4:] = False
    return logits, label, weight, valid


def slow(logits, label, weight, valid, norm):
    """Pixel by pixel."""
    values: dict[int, list[float]] = {}
    for n in range(2):
        for i in range(5):
            for j in range(6):
                c = int(label[n, i, j])
                if valid[n, i, j] and c != 255:
                    loss = -float(F.log_softmax(logits[n, :, i, j], 0)[c])
                    values.setdefault(c, []).append(float(weight[n, i, j]) * loss)
    every = [value for part in values.values() for value in part]
    if norm == 'all':
        return sum(every) / int(valid.sum())
    if norm == 'kept':
        return sum(every) / len(every)
    return sum(sum(part) / len(part) for part in values.values()) / len(values)


def test_by_hand() -> None:
    """Four pixels, uniform logits: CE = log 2. One is padded, one rejected."""
    logits = torch.zeros(1, 2, 1, 4)
    label = torch.tensor([[[0, 1, 255, 1]]])
    valid = torch.tensor([[[True, True, True, False]]])
    expected = {'all': 2 / 3 * math.log(2), 'kept': math.log(2), 'class': math.log(2)}
    for norm, value in expected.items():
        assert float(pseudo_cross_entropy(logits, label, valid=valid, norm=norm)) == pytest.approx(value)


@pytest.mark.parametrize('norm', ['all', 'kept', 'class'])
def test_equals_the_slow_reference(norm: str) -> None:
    logits, label, weight, valid = case()
    found = pseudo_cross_entropy(logits, label, weight=weight, valid=valid, norm=norm)
    assert float(found) == pytest.approx(slow(logits, label, weight, valid, norm), rel=1e-6)


@pytest.mark.parametrize('norm', ['all', 'kept', 'class'])
def test_gradient(norm: str) -> None:
    logits, label, weight, valid = case()
    logits.requires_grad_()
    assert torch.autograd.gradcheck(
        lambda z: pseudo_cross_entropy(z, label, weight=weight, valid=valid, norm=norm), (logits,)
    )


@pytest.mark.parametrize('norm', ['all', 'kept', 'class'])
def test_nothing_kept_is_zero_with_a_graph(norm: str) -> None:
    logits = torch.randn(1, 3, 4, 4, requires_grad=True)
    for label, valid in (
        (torch.full((1, 4, 4), 255), None),
        (torch.zeros(1, 4, 4, dtype=torch.long), torch.zeros(1, 4, 4, dtype=torch.bool)),
    ):
        loss = pseudo_cross_entropy(logits, label, valid=valid, norm=norm)
        loss.backward()
        assert loss.item() == 0 and logits.grad is not None and not logits.grad.any()


def test_padding_and_rejected_pixels_get_no_gradient() -> None:
    logits, label, _, valid = case()
    logits.requires_grad_()
    pseudo_cross_entropy(logits, label, valid=valid).backward()
    outside = (label == 255) | ~valid
    assert not logits.grad.movedim(1, -1)[outside].any() and logits.grad.movedim(1, -1)[~outside].any()


def test_the_labels_are_not_written_to() -> None:
    logits, label, _, valid = case()
    before = label.clone()
    pseudo_cross_entropy(logits, label, valid=valid)
    assert torch.equal(label, before)


def test_bf16_computes_in_float32() -> None:
    logits, label, weight, valid = case(torch.float32)
    with torch.autocast('cpu', torch.bfloat16):
        loss = pseudo_cross_entropy(logits.bfloat16(), label, weight=weight, valid=valid)
    assert loss.dtype == torch.float32
    exact = pseudo_cross_entropy(logits, label, weight=weight, valid=valid)
    assert float(loss) == pytest.approx(float(exact), rel=2e-2)


def test_wrong_arguments() -> None:
    logits, label, _, _ = case()
    with pytest.raises(ValueError, match='norm must be one of'):
        pseudo_cross_entropy(logits, label, norm='batch')
    with pytest.raises(ValueError, match='outside'):
        pseudo_cross_entropy(logits, torch.full_like(label, 9))
