"""spconv as another way to compute the same convolutions, from the same kernel maps and parameters.

spconv (Apache 2.0) is optional: ``pip install spconv-cu126`` (or the build for your CUDA); the plain ``spconv`` wheel
computes on the CPU, forward only, because its backward asks for a CUDA stream. Its own modules keep weights as
(Cout, k, k, k, Cin); :func:`spconv_state_dict` gives ours in that layout.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from imbdense.core.reduction import full_precision

Pairs = tuple[Tensor, Tensor]


def require_spconv() -> Any:
    """The module ``spconv.pytorch``.

    Raises:
        ImportError: it is absent or does not import; says what to install.
    """
    try:
        return importlib.import_module('spconv.pytorch')
    except Exception as error:  # spconv also fails with RuntimeError and OSError where its CUDA does not fit
        raise ImportError(
            f"backend='spconv' needs spconv, which does not import ({type(error).__name__}: {error}). Install the "
            f"build for your CUDA, e.g. `pip install spconv-cu126`, or use backend='torch'."
        ) from error


def spconv_conv(feats: Tensor, weight: Tensor, pairs: Sequence[Pairs], rows: int) -> Tensor:
    """What :func:`imbdense.nn.sparse.conv.sparse_conv` computes, by spconv's gather-multiply-scatter.

    Under float16 autocast on a GPU products are float16, as there; otherwise float32 (spconv has no bfloat16 and no
    float64). Returns (rows, Cout) float32.

    Raises:
        RuntimeError: gradients are wanted on the CPU.
    """
    functional = require_spconv().functional
    device = feats.device.type
    if device == 'cpu' and torch.is_grad_enabled() and (feats.requires_grad or weight.requires_grad):
        raise RuntimeError("backend='spconv' has no gradients on the CPU: use backend='torch', or torch.no_grad().")
    sizes = [len(source) for source, _ in pairs]
    if not sum(sizes):
        return full_precision(feats[:0]).new_zeros(rows, weight.shape[2])
    half = device != 'cpu' and torch.is_autocast_enabled(device) and torch.get_autocast_dtype(device) == torch.float16
    dtype = torch.float16 if half else torch.float32
    native = importlib.import_module('spconv.core').ConvAlgo.Native
    with torch.autocast(device, enabled=False):
        return functional.indice_conv(
            feats.to(dtype), spconv_weight(weight).to(dtype), _table(pairs, sizes),
            torch.tensor(sizes, dtype=torch.int32, device=feats.device), rows, native,
        ).float()


def spconv_weight(weight: Tensor) -> Tensor:
    """(taps, Cin, Cout) -> (Cout, k, k, k, Cin), contiguous; taps are k³, x slowest."""
    taps, cin, cout = weight.shape
    edge = round(taps ** (1 / 3))
    return weight.permute(2, 0, 1).reshape(cout, edge, edge, edge, cin).contiguous()


def spconv_state_dict(module: nn.Module) -> dict[str, Tensor]:
    """``module.state_dict()`` with the weights of sparse convolutions as spconv's modules keep them.

    Only layouts change, not names: weights with three dimensions are permuted by :func:`spconv_weight`.
    """
    return {name: spconv_weight(value) if value.ndim == 3 else value for name, value in module.state_dict().items()}


def self_test(device: str = 'cpu') -> str:
    """Compare both backends, and spconv's own module, on a random cloud; one line about it.

    Raises:
        ImportError: no spconv. RuntimeError: results differ by more than 1e-4.
    """
    from imbdense.nn.sparse.conv import SubMConv3d
    from imbdense.nn.sparse.sparse_points import SparsePoints

    spconv = require_spconv()
    generator = torch.Generator().manual_seed(0)
    xyz = torch.unique(torch.randint(0, 12, (400, 3), generator=generator), dim=0)
    points = SparsePoints.from_samples([xyz.to(device)], [torch.randn(len(xyz), 8, generator=generator).to(device)])
    ours = SubMConv3d(8, 8, bias=False).to(device)
    theirs = spconv.SubMConv3d(8, 8, 3, bias=False).to(device)
    theirs.load_state_dict(spconv_state_dict(ours))
    with torch.no_grad():
        wanted = ours(points).feats
        ours.backend = 'spconv'
        found = ours(points).feats
        module = theirs(spconv.SparseConvTensor(points.feats, points.coords.int(), [12, 12, 12], 1)).features
    gap = max(float((found - wanted).abs().max()), float((module - wanted).abs().max()))
    if not gap <= 1e-4:
        raise RuntimeError(f'spconv on {device} differs from torch by {gap:.1e}, allowed 1e-4.')
    return f'agrees with torch to {gap:.0e} on {device}' + ('; no gradients there' if device == 'cpu' else '')


def _table(pairs: Sequence[Pairs], sizes: Sequence[int]) -> Tensor:
    """(2, taps, largest) int32, padded with -1: the layout of spconv."""
    table = pairs[0][0].new_full((2, len(pairs), max(sizes)), -1)
    for tap, (source, target) in enumerate(pairs):
        table[0, tap, : sizes[tap]], table[1, tap, : sizes[tap]] = source, target
    return table
