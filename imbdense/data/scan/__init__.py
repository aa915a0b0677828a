"""Count the classes of label files and annotations; cached, parallel, resumable.

* :func:`scan_labels`  - label files -> :class:`ScanResult` (counts, image table, pixel index, faults);
* :class:`PixelIndex`  - where the pixels of a class are, for class-centred crops.
"""

from imbdense.data.scan.pixel_index import PixelIndex
from imbdense.data.scan.result import ScanResult, cooccurrence
from imbdense.data.scan.scanner import scan_labels

__all__ = ['PixelIndex', 'ScanResult', 'cooccurrence', 'scan_labels']
