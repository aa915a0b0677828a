"""A small detector of boxes in space that trains on a CPU: pillars, convolutions seen from above, anchors."""

from imbdense.nn.pillars.anchor_head import AnchorOutputs, AnchorTargets, BevAnchorHead
from imbdense.nn.pillars.backbone import BevBackbone
from imbdense.nn.pillars.encoder import PillarEncoder

__all__ = ['AnchorOutputs', 'AnchorTargets', 'BevAnchorHead', 'BevBackbone', 'PillarEncoder']
