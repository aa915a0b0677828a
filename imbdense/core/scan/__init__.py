"""Recurrences over long sequences, exact and in linear memory."""

from imbdense.core.scan.cross_scan import cross_merge, cross_scan
from imbdense.core.scan.selective_scan import BACKENDS, loop_scan, selective_scan

__all__ = ['BACKENDS', 'cross_merge', 'cross_scan', 'loop_scan', 'selective_scan']
