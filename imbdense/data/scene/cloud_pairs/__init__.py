"""Two dates of a generated scene as point clouds, with the change class of every point."""

from imbdense.data.scene.cloud_pairs.config import CHANGE_CLASSES, CloudPairConfig
from imbdense.data.scene.cloud_pairs.dataset import CloudPairPlan, generate_cloud_pairs
from imbdense.data.scene.cloud_pairs.generate import CloudPairManifest, generate_cloud_pair
from imbdense.data.scene.cloud_pairs.presets import CLOUD_PAIR_PRESETS, CloudPairPreset

__all__ = ['CHANGE_CLASSES', 'CLOUD_PAIR_PRESETS', 'CloudPairConfig', 'CloudPairManifest', 'CloudPairPlan',
           'CloudPairPreset', 'generate_cloud_pair', 'generate_cloud_pairs']
