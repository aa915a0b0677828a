"""Files and facts of off-line pseudo-labels: which images, which filters, which annotation file."""

from imbdense.data.pseudo.boxes_3d import boxes_3d_record, read_boxes_3d
from imbdense.data.pseudo.coco import PseudoBoxes, coco_record
from imbdense.data.pseudo.filters import FilterTable
from imbdense.data.pseudo.label_folder import REPORT, PseudoLabelFolder, read_label_folder
from imbdense.data.pseudo.sidecar import SidecarError, claim_folder

__all__ = [
    'REPORT',
    'FilterTable',
    'PseudoBoxes',
    'PseudoLabelFolder',
    'SidecarError',
    'boxes_3d_record',
    'claim_folder',
    'coco_record',
    'read_boxes_3d',
    'read_label_folder',
]
