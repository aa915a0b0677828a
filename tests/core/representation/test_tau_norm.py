"""tau-normalised classifiers."""

from __future__ import annotations

import pytest
import torch

from imbdense.core.representation import tau_normalize

WEIGHT = torch.tensor([[3.0, 4.0], [0.6, 0.8], [0.0, 0.0]])
BIAS = torch.tensor([1.0, -2.0, 0.5])


def test_by_hand() -> None:
    weight, bias = tau_normalize(WEIGHT, BIAS, tau=1.0)
    assert torch.allclose(weight, torch.tensor([[0.6, 0.8], [0.6, 0.8], [0.0, 0.0]]))
    assert bias.tolist() == [0, 0, 0]
    half, _ = tau_normalize(WEIGHT, tau=0.5)
    assert half.norm(dim=1).tolist() == pytest.approx([5**0.5, 1, 0])


def test_tau_zero_leaves_the_weights_and_the_bias_can_be_kept() -> None:
    weight, bias = tau_normalize(WEIGHT, BIAS, tau=0.0, keep_bias=True)
    assert torch.equal(weight, WEIGHT) and torch.equal(bias, BIAS)
    assert weight.data_ptr() != WEIGHT.data_ptr() and bias.data_ptr() != BIAS.data_ptr()
    assert tau_normalize(WEIGHT, tau=0.7)[1] is None


def test_convolutions_and_half_precision() -> None:
    kernel = torch.randn(4, 3, 3, 3, generator=torch.Generator().manual_seed(0))
    weight, _ = tau_normalize(kernel.half(), tau=1.0)
    assert weight.shape == kernel.shape and weight.dtype == torch.float16
    assert weight.float().flatten(1).norm(dim=1).tolist() == pytest.approx([1] * 4, abs=1e-3)
    tiny, _ = tau_normalize(torch.full((1, 4), 1e-5, dtype=torch.float16), tau=2.0)  # 1e-10 has no half precision
    assert torch.isfinite(tiny).all()


def test_short_vectors_of_rare_classes_win_back_their_samples() -> None:
    """Two classes whose vectors point to their samples; the rare one's is short, so it loses without tau."""
    weight = torch.tensor([[4.0, 1.0], [0.6, 0.8]])
    sample = torch.tensor([0.6, 0.8])
    assert (weight @ sample).argmax() == 0 and (tau_normalize(weight, tau=1.0)[0] @ sample).argmax() == 1


def test_errors() -> None:
    with pytest.raises(ValueError, match='tau'):
        tau_normalize(WEIGHT, tau=-0.1)
    with pytest.raises(ValueError, match=r'\(K, d\)'):
        tau_normalize(torch.ones(3))
    with pytest.raises(ValueError, match='one entry per class'):
        tau_normalize(WEIGHT, torch.ones(2))
