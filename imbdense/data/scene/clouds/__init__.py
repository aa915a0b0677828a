"""Point clouds of generated scenes: dense image matching with its faults, or airborne laser scanning."""

from imbdense.data.scene.clouds.config import CloudConfig, LidarConfig, StereoConfig
from imbdense.data.scene.clouds.dataset import CloudPlan, generate_clouds
from imbdense.data.scene.clouds.generate import CloudManifest, generate_cloud
from imbdense.data.scene.clouds.presets import CLOUD_PRESETS, CloudPreset

__all__ = ['CLOUD_PRESETS', 'CloudConfig', 'CloudManifest', 'CloudPlan', 'CloudPreset', 'LidarConfig', 'StereoConfig',
           'generate_cloud', 'generate_clouds']
