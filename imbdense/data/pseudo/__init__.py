"""Files and facts of off-line pseudo-labels: which images, which filters, which annotation file."""

from imbdense.data.pseudo.coco import PseudoBoxes, coco_record
from imbdense.data.pseudo.filters import FilterTable
from imbdense.data.pseudo.sidecar import SidecarError, claim_folder

__all__ = ['FilterTable', 'PseudoBoxes', 'SidecarError', 'claim_folder', 'coco_record']
