"""SSIM against its definition place by place, against scikit-image, by gradcheck, and where half precision fails."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from imbdense.core.losses import ssim_loss, structural_similarity


def images(height: int = 17, width: int = 14, channels: int = 2, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    x = torch.rand(2, channels, height, width, generator=generator, dtype=torch.float64)
    noise = torch.randn(x.shape, generator=generator, dtype=torch.float64)
    return x, (x + 0.2 * noise).clamp(0, 1)


def slow(x: np.ndarray, y: np.ndarray, data_range: float) -> np.ndarray:
    """The definition, one window after the other."""
    place = np.arange(-5, 6)
    line = np.exp(-(place**2) / (2 * 1.5**2))
    weight = np.outer(line, line) / line.sum() ** 2
    c1, c2 = (0.01 * data_range) ** 2, (0.03 * data_range) ** 2
    found = np.zeros((x.shape[0] - 10, x.shape[1] - 10))
    for row in range(found.shape[0]):
        for column in range(found.shape[1]):
            a, b = x[row : row + 11, column : column + 11], y[row : row + 11, column : column + 11]
            mean_a, mean_b = (weight * a).sum(), (weight * b).sum()
            var_a, var_b = (weight * (a - mean_a) ** 2).sum(), (weight * (b - mean_b) ** 2).sum()
            cov = (weight * (a - mean_a) * (b - mean_b)).sum()
            found[row, column] = ((2 * mean_a * mean_b + c1) * (2 * cov + c2)) / (
                (mean_a**2 + mean_b**2 + c1) * (var_a + var_b + c2)
            )
    return found


@pytest.mark.parametrize('data_range', [1.0, 255.0])
def test_equals_the_definition(data_range: float) -> None:
    x, y = images()
    ours = structural_similarity(x * data_range, y * data_range, data_range=data_range)
    for n in range(2):
        for c in range(2):
            assert np.allclose(ours[n, c], slow(x[n, c].numpy() * data_range, y[n, c].numpy() * data_range, data_range),
                               atol=1e-9)


def test_equals_scikit_image() -> None:
    metrics = pytest.importorskip('skimage.metrics')
    x, y = images(40, 33, 3)
    ours = structural_similarity(x, y).mean((1, 2, 3))
    for n in range(2):
        theirs = metrics.structural_similarity(
            x[n].numpy(), y[n].numpy(), channel_axis=0, data_range=1.0, gaussian_weights=True, sigma=1.5,
            use_sample_covariance=False,
        )
        assert ours[n].item() == pytest.approx(theirs, abs=1e-9)


def test_constant_images_by_hand() -> None:
    """Without variance only the means count: (2 a b + C1) / (a^2 + b^2 + C1)."""
    x, y = torch.full((1, 1, 12, 12), 0.5), torch.full((1, 1, 12, 12), 0.1)
    assert ssim_loss(x, y).item() == pytest.approx(1 - (0.1 + 1e-4) / (0.26 + 1e-4), abs=1e-4)


def test_equal_images_have_no_loss_and_no_gradient() -> None:
    x, _ = images()
    pred = x.clone().requires_grad_()
    loss = ssim_loss(pred, x)
    loss.backward()
    assert abs(loss.item()) < 1e-9 and pred.grad.abs().max() < 1e-9


def test_gradcheck() -> None:
    x, y = images(12, 13, 1)
    assert torch.autograd.gradcheck(lambda value: ssim_loss(value, y), x.requires_grad_())


def test_autocast_does_not_change_it() -> None:
    """The variances of a bright smooth image are lost in bfloat16: the formula in that type is off by a lot."""
    x, y = (0.9 + 0.02 * value.float() for value in images(32, 32))
    exact = ssim_loss(x, y)
    with torch.autocast('cpu', torch.bfloat16):
        assert ssim_loss(x, y).item() == pytest.approx(exact.item(), abs=1e-6)
        assert ssim_loss(x.bfloat16(), y).dtype == torch.float32


def test_float32_is_exact_enough() -> None:
    x, y = (0.9 + 0.02 * value for value in images(32, 32))
    assert ssim_loss(x.float(), y.float()).item() == pytest.approx(ssim_loss(x, y).item(), abs=1e-3)


def test_symmetric_and_local_to_the_channel() -> None:
    x, y = images(16, 16, 3)
    assert torch.allclose(structural_similarity(x, y), structural_similarity(y, x))
    z = y.clone()
    z[:, 1] = 0
    assert torch.equal(structural_similarity(x, z)[:, [0, 2]], structural_similarity(x, y)[:, [0, 2]])


def test_empty_batch_is_zero_with_graph() -> None:
    pred = torch.zeros(0, 3, 16, 16, requires_grad=True)
    loss = ssim_loss(pred, torch.zeros(0, 3, 16, 16))
    loss.backward()
    assert loss.item() == 0


def test_errors() -> None:
    x = torch.zeros(1, 1, 10, 12)
    with pytest.raises(ValueError, match='does not fit'):
        ssim_loss(x, x)
    with pytest.raises(ValueError, match='one shape'):
        ssim_loss(torch.zeros(1, 1, 12, 12), torch.zeros(1, 2, 12, 12))
    with pytest.raises(ValueError, match='data_range'):
        ssim_loss(torch.zeros(1, 1, 12, 12), torch.zeros(1, 1, 12, 12), data_range=0)
