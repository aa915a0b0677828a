"""Optimiser wrappers."""

from __future__ import annotations

from imbdense.mm.optim.cpu_autocast import CpuAutocastOptimWrapper

__all__ = ['CpuAutocastOptimWrapper']
