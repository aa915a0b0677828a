"""Pretext tasks: what a backbone learns from images without labels, one task per file."""

from imbdense.nn.self_supervised.base import PretextTask
from imbdense.nn.self_supervised.densecl import DenseCLTask
from imbdense.nn.self_supervised.jigsaw import JigsawTask
from imbdense.nn.self_supervised.moco import MoCoTask
from imbdense.nn.self_supervised.rotation import RotationTask
from imbdense.nn.self_supervised.simsiam import SimSiamTask

__all__ = ['DenseCLTask', 'JigsawTask', 'MoCoTask', 'PretextTask', 'RotationTask', 'SimSiamTask']
