"""Procedural aerial scenes with exact labels and a long-tail dial (after STPLS3D, Chen et al., BMVC 2022).

:func:`generate_scene` makes one scene, :func:`generate_dataset` a data set that mmseg and mmdet read as it is.
"""

from imbdense.data.scene.classes import CLASS_NAMES, MAPPINGS, ClassMapping
from imbdense.data.scene.config import SceneConfig
from imbdense.data.scene.dataset import DatasetPlan, generate_dataset
from imbdense.data.scene.generate import generate_scene
from imbdense.data.scene.manifest import SceneManifest, read_manifest
from imbdense.data.scene.presets import PRESETS, Preset

__all__ = ['CLASS_NAMES', 'MAPPINGS', 'PRESETS', 'ClassMapping', 'DatasetPlan', 'Preset', 'SceneConfig',
           'SceneManifest', 'generate_dataset', 'generate_scene', 'read_manifest']
