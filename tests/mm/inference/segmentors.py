"""A tiny segmentation run whose checkpoint can be spoiled."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config

from tests.mm.hooks.tiny_run import config, runner, write_dataset


def trained(folder: Path, **changes: Any) -> tuple[Config, Path]:
    """(config, checkpoint) of a run of a few iterations."""
    if not (folder / 'data').exists():
        write_dataset(folder / 'data', images=12)
    work_dir = folder / 'run'
    runner(folder / 'data', work_dir, **changes).train()
    return config(folder / 'data', folder / 'test', **changes), next(work_dir.glob('*.pth'))


def spoil(checkpoint: Path, target: Path, bias: float) -> Path:
    """Copy a checkpoint with the logit of the last class lowered."""
    content = torch.load(checkpoint, weights_only=False)
    content['state_dict']['decode_head.conv_seg.bias'][-1] += bias
    torch.save(content, target)
    return target
