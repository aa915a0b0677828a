"""Prediction of whole point clouds: a finished segmentor run over overlapping blocks, in constant memory."""

from imbdense.mm.points.job import PointJob, check_targets, predict_blocks, start_job, write_clouds
from imbdense.mm.points.network import PointNetwork

__all__ = ['PointJob', 'PointNetwork', 'check_targets', 'predict_blocks', 'start_job', 'write_clouds']
