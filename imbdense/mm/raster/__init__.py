"""Prediction of whole rasters: a finished segmentor run over a lattice of tiles, in constant memory."""

from imbdense.mm.raster.job import RasterJob, layer_classes, predict_units, start_job, write_maps
from imbdense.mm.raster.network import RasterNetwork
from imbdense.mm.raster.plan import RasterPlan, make_plan

__all__ = [
    'RasterJob', 'RasterNetwork', 'RasterPlan', 'layer_classes', 'make_plan', 'predict_units', 'start_job',
    'write_maps',
]  # fmt: skip
