"""The pretext tasks, under their own names: they need nothing of the hosts."""

from __future__ import annotations

from imbdense.nn.self_supervised import DenseCLTask, JigsawTask, MoCoTask, RotationTask, SimSiamTask
from imbdense.registry import MODELS

SHORT = {
    'rotation': RotationTask, 'jigsaw4': JigsawTask, 'simsiam': SimSiamTask, 'mocov2': MoCoTask, 'densecl': DenseCLTask,
}  # fmt: skip
"""Tasks by the short names of configs."""

for _cls in SHORT.values():
    MODELS.register_module(module=_cls)
