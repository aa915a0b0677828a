"""Two dates of a generated scene: edits of the scene graph, exact change maps, seasons, light, misregistration."""

from imbdense.data.scene.pairs.config import EDIT_KINDS, PairConfig
from imbdense.data.scene.pairs.dataset import PairPlan, generate_pairs
from imbdense.data.scene.pairs.generate import PairManifest, generate_pair
from imbdense.data.scene.pairs.presets import PAIR_PRESETS, PairPreset

__all__ = ['EDIT_KINDS', 'PAIR_PRESETS', 'PairConfig', 'PairManifest', 'PairPlan', 'PairPreset', 'generate_pair',
           'generate_pairs']
