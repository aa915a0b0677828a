"""The two-dimensional scan as a layer: its formula written once more, its start, its behaviour in half precision."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from imbdense.nn.ss2d import SS2D
from imbdense.nn.vss_block import DropPath, VSSBlock


def plain(layer: SS2D, x: torch.Tensor) -> torch.Tensor:
    """The layer path by path and step by step, from its docstring; one sample, one state."""
    _, height, width, _ = x.shape
    x = layer.in_proj(x)
    x, gate = x.chunk(2, -1) if layer.gated else (x, None)
    x = F.silu(layer.conv(x.permute(0, 3, 1, 2)))[0]  # (Di, H, W)
    places = [(i, j) for i in range(height) for j in range(width)]
    columns = [(i, j) for j in range(width) for i in range(height)]
    total = torch.zeros_like(x)
    for path, order in enumerate([places, columns, places[::-1], columns[::-1]]):
        h = torch.zeros(x.shape[0])
        for i, j in order:
            low, b, c = (layer.x_proj_weight[path] @ x[:, i, j]).split([layer.rank, 1, 1])
            step = F.softplus(layer.dt_proj_weight[path] @ low + layer.dt_proj_bias[path])
            h = torch.exp(-step * layer.A_log[path, :, 0].exp()) * h + step * b * x[:, i, j]
            total[:, i, j] += c * h + layer.D[path] * x[:, i, j]
    y = layer.out_norm(total.permute(1, 2, 0).unsqueeze(0))
    return layer.out_proj(y if gate is None else y * F.silu(gate))


@pytest.mark.parametrize('gated', [False, True])
def test_agrees_with_the_formula(gated: bool) -> None:
    torch.manual_seed(0)
    layer, x = SS2D(6, gated=gated), torch.randn(1, 3, 4, 6)
    with torch.no_grad():
        layer.A_log.normal_(0, 0.3)
        layer.D.normal_()
        assert torch.allclose(layer(x), plain(layer, x), atol=1e-5)


def test_start_of_mamba() -> None:
    torch.manual_seed(0)
    layer = SS2D(64, d_state=3)
    steps = F.softplus(layer.dt_proj_bias)
    assert torch.allclose(layer.A_log[0, 5].exp(), torch.tensor([1.0, 2.0, 3.0])) and (layer.D == 1).all()
    assert steps.min() >= 1e-3 - 1e-6 and steps.max() <= 0.1 + 1e-6
    assert abs(steps.log().mean().item() - math.log(1e-2)) < 0.2  # even on a logarithmic scale
    assert layer.rank == 4 and layer.dt_proj_weight.abs().max() <= 0.5


@pytest.mark.parametrize('init', ['v1', 'v2'])
def test_ablation_starts_run(init: str) -> None:
    layer = SS2D(8, init=init)
    assert torch.isfinite(layer(torch.randn(1, 4, 4, 8))).all()
    assert (layer.A_log == 0).all() == (init == 'v2')


def test_marks_for_the_optimizer() -> None:
    marked = {name for name, parameter in SS2D(8).named_parameters() if getattr(parameter, '_no_weight_decay', False)}
    assert marked == {'A_log', 'D'}


def test_backends_agree_and_every_parameter_learns() -> None:
    torch.manual_seed(0)
    layer, x = SS2D(8, d_state=2, scan='two_level'), torch.randn(2, 5, 3, 8)
    y = layer(x)
    layer.scan = 'loop'
    assert torch.allclose(y, layer(x), atol=1e-5)
    y.square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in layer.parameters())


@pytest.mark.parametrize('iterations', [30, pytest.param(200, marks=pytest.mark.slow)])
def test_bf16_autocast_trains_without_inf(iterations: int) -> None:
    torch.manual_seed(0)
    block = VSSBlock(8)
    optimizer = torch.optim.AdamW(block.parameters(), lr=1e-2)
    x, target = torch.randn(2, 6, 6, 8), torch.randn(2, 6, 6, 8)
    values = []
    for _ in range(iterations):
        with torch.autocast('cpu', torch.bfloat16):
            loss = (block(x).float() - target).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        values.append(loss.item())
    assert all(math.isfinite(value) for value in values) and values[-1] < 0.8 * values[0]
    assert all(torch.isfinite(p).all() and p.dtype == torch.float32 for p in block.parameters())


def test_the_scan_gets_full_precision_under_autocast(monkeypatch: pytest.MonkeyPatch) -> None:
    from imbdense.nn import ss2d

    seen = []
    scan = ss2d.selective_scan
    monkeypatch.setattr(ss2d, 'selective_scan', lambda *x, **options: seen.append([t.dtype for t in x[:3]]) or scan(
        *x, **options))  # fmt: skip
    with torch.autocast('cpu', torch.bfloat16):
        SS2D(8)(torch.randn(1, 4, 4, 8))
    assert seen == [[torch.float32] * 3]


def test_drop_path() -> None:
    torch.manual_seed(0)
    drop, x = DropPath(0.25), torch.ones(4000, 2, 3)
    y = drop(x)
    kept = y[:, 0, 0] > 0
    assert abs(kept.float().mean().item() - 0.75) < 0.03 and torch.allclose(y[kept], torch.tensor(1 / 0.75))
    assert torch.equal(drop.eval()(x), x)
    with pytest.raises(ValueError, match='below 1'):
        DropPath(1.0)


def test_without_mlp_half_of_the_block_is_gone() -> None:
    assert VSSBlock(8, mlp_ratio=0).mlp is None and VSSBlock(8).mlp is not None
    assert VSSBlock(8, mlp_ratio=0)(torch.randn(1, 2, 2, 8)).shape == (1, 2, 2, 8)


def test_memory_of_training_grows_as_the_area() -> None:
    """What autograd keeps of a block, for maps of 8 x 8 and 16 x 16."""
    block, sizes = VSSBlock(8), []
    for side in (8, 16):
        kept: dict[int, int] = {}

        def keep(tensor: torch.Tensor, kept: dict[int, int] = kept) -> torch.Tensor:
            kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            y = block(torch.randn(1, side, side, 8))  # keeps the graph, so that no memory is used twice
        sizes.append(sum(kept.values()) - sum(p.numel() * 4 for p in block.parameters()))
        del y
    assert 3.2 < sizes[1] / sizes[0] < 4.3
