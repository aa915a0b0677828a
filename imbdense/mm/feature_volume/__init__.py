"""Features of images on points: extractors, and the tool that gathers them over views."""

from imbdense.mm.feature_volume.build import MultiViewFeatureVolume
from imbdense.mm.feature_volume.extractors import BackboneFeatures, HandFeatures, build_extractor

__all__ = ['BackboneFeatures', 'HandFeatures', 'MultiViewFeatureVolume', 'build_extractor']
