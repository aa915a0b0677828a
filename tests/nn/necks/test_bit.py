"""BIT: parameter count of the authors' layers, no change without change, sizes."""

from __future__ import annotations

import torch

from imbdense.nn.necks.bit import BIT, TokenBlock


def test_parameter_count_of_the_published_layers() -> None:
    """Tokens 4, one encoder block of 8 heads x 64, eight decoder blocks of 8 heads x 8, 32 channels."""
    def block(inner: int) -> int:
        attention = 3 * 32 * inner + inner * 32 + 32
        return attention + (32 * 64 + 64 + 64 * 32 + 32) + 2 * 64

    expected = (9 * 256 * 32 + 32) + 4 * 32 + 8 * 32 + block(512) + 8 * block(64)
    assert sum(p.numel() for p in BIT().parameters()) == expected


def test_sizes_gradients_and_that_tokens_mix_the_dates() -> None:
    torch.manual_seed(0)
    model = BIT(6, 8, tokens=2, decoder_depth=1, num_heads=2, head_channels=4, decoder_head_channels=4)
    a, b = torch.randn(2, 2, 6, 5, 7)
    out = model(a, b)
    assert out.shape == (2, 8, 10, 14) and (out >= 0).all()
    out.sum().backward()
    assert all(p.grad is not None for p in model.parameters())
    other = model(a, torch.roll(b, 3, -1))
    assert not torch.equal(other, out)


def test_equal_dates_and_equal_positions_give_no_difference() -> None:
    model = BIT(6, 8, tokens=2, decoder_depth=2, num_heads=2, head_channels=4, decoder_head_channels=4).eval()
    a = torch.randn(1, 6, 4, 4)
    with torch.no_grad():
        model.positions[:, 2:] = model.positions[:, :2]
        torch.testing.assert_close(model(a, a), torch.zeros(1, 8, 8, 8), atol=1e-5, rtol=0)


def test_self_attention_block_is_permutation_equivariant() -> None:
    block, x = TokenBlock(8, 2, 4), torch.randn(1, 5, 8)
    order = torch.tensor([3, 1, 4, 0, 2])
    torch.testing.assert_close(block(x)[:, order], block(x[:, order]))
