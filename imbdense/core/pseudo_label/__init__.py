"""Labels a model made itself: which to trust, which to keep, how many of each class to use.

Nothing here knows boxes from regions: functions take overlaps, or an IoU function.

* :func:`accept`                        - cross-domain examination: what is found again elsewhere is reliable;
* :func:`paste_regions_for_examination` - makes the image that is examined;
* :func:`overlapped_box_count`, :func:`overlapped_region_count` - how ordinary an object is for the model;
* :func:`inverse_density_subsample`     - keeps the unusual ones of a frequent class;
* :class:`ProgressiveQuota`, :class:`EqualDraw` - how many of each class are pasted in a round, and which;
* :class:`MemoryEnsemble`               - pseudo-boxes merged over the rounds.
"""

from imbdense.core.pseudo_label.examination import ExaminedScene, accept, paste_regions_for_examination
from imbdense.core.pseudo_label.inverse_density import count_density, inverse_density, inverse_density_subsample
from imbdense.core.pseudo_label.memory import MemoryEnsemble, RememberedBoxes
from imbdense.core.pseudo_label.overlap_count import overlapped_box_count, overlapped_region_count
from imbdense.core.pseudo_label.quota import EqualDraw, ProgressiveQuota, round_of_epoch

__all__ = [
    'EqualDraw',
    'ExaminedScene',
    'MemoryEnsemble',
    'ProgressiveQuota',
    'RememberedBoxes',
    'accept',
    'count_density',
    'inverse_density',
    'inverse_density_subsample',
    'overlapped_box_count',
    'overlapped_region_count',
    'paste_regions_for_examination',
    'round_of_epoch',
]
