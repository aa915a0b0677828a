"""Prediction of whole rasters: a finished segmentor run over a lattice of tiles, in constant memory."""

from imbdense.mm.raster.job import RasterJob, layer_classes, predict_units, start_job, wanted_layers, write_maps
from imbdense.mm.raster.network import RasterNetwork, one_thread_per_tile
from imbdense.mm.raster.opening import open_rasters
from imbdense.mm.raster.plan import RasterPlan, make_plan
from imbdense.mm.raster.scene_transitions import set_scene_transitions

__all__ = [
    'RasterJob', 'RasterNetwork', 'RasterPlan', 'layer_classes', 'make_plan', 'one_thread_per_tile', 'open_rasters',
    'predict_units', 'set_scene_transitions', 'start_job', 'wanted_layers', 'write_maps',
]  # fmt: skip
