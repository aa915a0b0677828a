"""The sparse U-Net on an accelerator against the CPU: equal results, time of a step, mixed precision, spconv.

``python -m imbdense.benchmark.sparse_device --device cuda --voxels 100000`` prints one JSON object.
"""

from __future__ import annotations

import argparse
import copy
import json
import time
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from imbdense.core.points import grid_sample
from imbdense.nn.sparse import SparsePoints, SparseUNet, set_backend

CHANNELS, REPEATS = 4, 5


def compare(device: str, voxels: int, base_channels: int = 32) -> dict[str, Any]:
    """Train-mode steps of one cloud on the CPU and on ``device``.

    Returns:
        ``max_difference`` (largest relative difference to the CPU: output, gradients), ``same_bits`` of two steps under
        deterministic algorithms, ``seconds`` and ``peak_gib`` per way ('cpu', 'float32', 'bfloat16', 'float16',
        'spconv'); 'spconv' holds the error where it could not run.
    """
    torch.manual_seed(0)
    net = SparseUNet(CHANNELS, base_channels)
    coords = surface(voxels)
    feats = torch.randn(len(coords), CHANNELS)
    wanted, cpu_seconds = timed_step(net, coords, feats, 'cpu', repeats=1)
    there = copy.deepcopy(net).to(device)
    found, seconds = timed_step(there, coords, feats, device)
    result: dict[str, Any] = {
        'device': torch.cuda.get_device_name() if device == 'cuda' else device, 'voxels': len(coords),
        'max_difference': difference(found, wanted), 'seconds': {'cpu': cpu_seconds, 'float32': seconds},
        'peak_gib': {'float32': peak_gib(device)},
    }
    result['same_bits'] = same_bits(there, coords, feats, device)
    for dtype in (torch.bfloat16, torch.float16) if device != 'cpu' else (torch.bfloat16,):
        name = str(dtype).split('.')[1]
        _, result['seconds'][name] = timed_step(there, coords, feats, device, dtype)
        result['peak_gib'][name] = peak_gib(device)
    result['spconv'] = spconv_step(there, coords, feats, device, wanted)
    return result


def surface(voxels: int) -> Tensor:
    """About ``voxels`` voxels (V, 3) of a wavy ground."""
    xyz = torch.rand(4 * voxels, 3, generator=torch.Generator().manual_seed(0)) * (voxels / 1.3) ** 0.5
    xyz[:, 2] = 8 * (torch.sin(xyz[:, 0] / 15) + torch.cos(xyz[:, 1] / 11))
    return grid_sample(xyz, 1.0).coords


def timed_step(
    net: nn.Module, coords: Tensor, feats: Tensor, device: str, dtype: torch.dtype | None = None, repeats: int = REPEATS
) -> tuple[list[Tensor], float]:
    """Output and gradients (on the CPU), least wall-clock seconds of forward + backward with kernel maps."""
    coords, feats, best, kept = coords.to(device), feats.to(device), float('inf'), []
    if device == 'cuda':
        torch.cuda.reset_peak_memory_stats()
    for _ in range(repeats + 1):  # the first one warms up
        net.zero_grad()
        synchronize(device)
        begin = time.perf_counter()
        with torch.autocast(device, dtype, enabled=dtype is not None):
            out = net(SparsePoints.from_samples([coords], [feats])).feats
        out.float().square().mean().backward()
        synchronize(device)
        best = min(best, time.perf_counter() - begin)
        kept = [out.detach().cpu(), *(value.grad.cpu() for value in net.parameters() if value.grad is not None)]
    return kept, best


def spconv_step(net: nn.Module, coords: Tensor, feats: Tensor, device: str, wanted: Sequence[Tensor]) -> Any:
    """Seconds and difference with spconv's kernels, or why not."""
    try:
        set_backend(net, 'spconv')
        found, seconds = timed_step(net, coords, feats, device)
        return {'seconds': seconds, 'max_difference': difference(found, wanted)}
    except (ImportError, RuntimeError) as error:
        return str(error)
    finally:
        set_backend(net, 'torch')


def same_bits(net: nn.Module, coords: Tensor, feats: Tensor, device: str) -> bool:
    """Whether two steps agree to the bit (needs ``CUBLAS_WORKSPACE_CONFIG=:4096:8`` on a GPU)."""
    torch.use_deterministic_algorithms(True)
    try:
        first, second = (timed_step(net, coords, feats, device, repeats=0)[0] for _ in range(2))
    finally:
        torch.use_deterministic_algorithms(False)
    return all(torch.equal(one, other) for one, other in zip(first, second))


def difference(found: Sequence[Tensor], wanted: Sequence[Tensor]) -> float:
    """Largest relative difference, in the Euclidean norm of each tensor."""
    return max(float((a - b).norm() / b.norm().clamp_min(1e-12)) for a, b in zip(found, wanted))


def synchronize(device: str) -> None:
    """Wait for the device."""
    if device == 'cuda':
        torch.cuda.synchronize()


def peak_gib(device: str) -> float | None:
    """Largest memory torch held on the device since the last step began."""
    return torch.cuda.max_memory_allocated() / 2**30 if device == 'cuda' else None


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--device', default='cuda' if torch.cuda.is_available() else 'cpu')
    parser.add_argument('--voxels', type=int, default=100_000)
    parser.add_argument('--base-channels', type=int, default=32)
    args = parser.parse_args()
    print(json.dumps(compare(args.device, args.voxels, args.base_channels), indent=1))


if __name__ == '__main__':
    main()
