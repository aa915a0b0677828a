"""Bring downloaded data sets into the layout of the configs: images/, labels/ and annotations/ per split; pairs of
images for change detection into t1/, t2/, label_change/ (:mod:`imbdense.data.prepare.pairs`); scenes of points into
.npz in the layout of their source (:mod:`imbdense.data.prepare.points`)."""

from __future__ import annotations

import importlib

from imbdense.data.prepare.job import Job, PrepareError
from imbdense.data.prepare.recipe import Recipe, prepare

__all__ = ['RECIPE_MODULES', 'Job', 'PrepareError', 'Recipe', 'prepare', 'recipe']

RECIPE_MODULES: dict[str, str] = {
    'bccd': 'bccd:RECIPE', 'hit_uav': 'hit_uav:RECIPE', 'dsb2018_nuclei': 'dsb2018_nuclei:RECIPE',
    'dubai_aerial': 'dubai_aerial:RECIPE', 'spacenet_georef': 'spacenet_georef:RECIPE',
    'cityscapes': 'cityscapes:RECIPE', 'loveda': 'loveda:RECIPE', 'potsdam': 'isprs:POTSDAM',
    'vaihingen': 'isprs:VAIHINGEN', 'isaid': 'isaid:RECIPE', 'dota': 'dota:RECIPE', 'lvis': 'lvis:RECIPE',
    'hsdb_instrument': 'hsdb_instrument:RECIPE',
    'dubai_scd_semisynthetic': 'dubai_scd_semisynthetic:RECIPE', 'landsat_taizhou_cd': 'landsat_taizhou_cd:RECIPE',
    'second': 'second:RECIPE', 'landsat_scd': 'landsat_scd:RECIPE', 'levir_cd': 'levir_cd:RECIPE',
    'whu_cd': 'whu_cd:RECIPE', 's2looking': 's2looking:RECIPE', 'xbd': 'xbd:RECIPE', 'hrscd': 'hrscd:RECIPE',
    'dynamic_earthnet': 'dynamic_earthnet:RECIPE', 'habitalp': 'habitalp:RECIPE',
    'stpls3d': 'points:STPLS3D', 's3dis': 'points:S3DIS', 'scannet': 'points:SCANNET',
    'scannet200': 'points:SCANNET200', 'toronto3d': 'points:TORONTO3D', 'dales': 'points:DALES',
    'semantickitti': 'points:SEMANTICKITTI', 'ign_lidar_hd': 'points:IGN_LIDAR_HD', 'urb3dcd': 'point_pairs:URB3DCD',
}
"""Name of a data set -> module and attribute of its recipe."""


def recipe(name: str) -> Recipe:
    """Return the recipe of a data set; ``KeyError`` when there is none of that name."""
    module, attribute = RECIPE_MODULES[name].split(':')
    found: Recipe = getattr(importlib.import_module(f'{__name__}.{module}'), attribute)
    return found
