"""Find the faults of a data set before a training run does; see :func:`check_splits`."""

from imbdense.data.checks.run import check_splits
from imbdense.data.checks.splits import ChangeSplit, DetectionSplit, SegmentationSplit, Split

__all__ = ['ChangeSplit', 'DetectionSplit', 'SegmentationSplit', 'Split', 'check_splits']
