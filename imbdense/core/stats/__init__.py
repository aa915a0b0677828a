"""How often does each class occur, and who already corrected for it?

* :class:`ClassCounts`        - the counts of a data set, one number per class and unit (pixels, regions, ...);
* :class:`AssignedCounts`     - the samples (anchors, queries, ...) that a detection head learns each class from;
* :class:`ImageClassTable`    - which image holds how much of which class (compressed rows), for samplers and crops;
* :mod:`~.indices`            - imbalance ratio, Gini, effective number, Shannon evenness;
* :func:`class_weights`       - counts -> loss weights, in every published convention;
* :class:`ClassQueue`         - the last features of each class;
* :class:`RunningClassStats`  - counts gathered inside a loss while training, equal on every rank;
* :mod:`~.loss_statistics`    - gradients, scores, confusions gathered inside a loss, equal on every rank;
* :class:`PriorLedger`        - the class distribution along sampler, crop, loss and post-hoc step.
"""

from imbdense.core.stats.assigned import AssignedCounts, NoForegroundError
from imbdense.core.stats.class_queue import ClassQueue
from imbdense.core.stats.counts import ClassCounts, CountUnit
from imbdense.core.stats.empty import fill_empty_classes
from imbdense.core.stats.image_table import ImageClassTable
from imbdense.core.stats.indices import (
    class_prior,
    effective_number,
    gini,
    imbalance_indices,
    imbalance_ratio,
    shannon_evenness,
)
from imbdense.core.stats.ledger import DoubleCorrectionError, PriorEntry, PriorLedger
from imbdense.core.stats.loss_statistics import RunningConfusion, RunningGradients, RunningScores
from imbdense.core.stats.ranks import gather_over_ranks, sum_over_ranks
from imbdense.core.stats.running import RunningClassStats
from imbdense.core.stats.weights import WEIGHT_SCHEMES, class_weight_tensor, class_weights, warn_of_large_weights

__all__ = [
    'WEIGHT_SCHEMES',
    'AssignedCounts',
    'ClassCounts',
    'ClassQueue',
    'CountUnit',
    'DoubleCorrectionError',
    'ImageClassTable',
    'NoForegroundError',
    'PriorEntry',
    'PriorLedger',
    'RunningClassStats',
    'RunningConfusion',
    'RunningGradients',
    'RunningScores',
    'class_prior',
    'class_weight_tensor',
    'class_weights',
    'effective_number',
    'fill_empty_classes',
    'gather_over_ranks',
    'gini',
    'imbalance_indices',
    'imbalance_ratio',
    'shannon_evenness',
    'sum_over_ranks',
    'warn_of_large_weights',
]
