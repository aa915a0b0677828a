"""From an estimate of the pool's class shares to shares one can train with."""

from __future__ import annotations

import numpy as np

from imbdense.core.shift.moments import Floats
from imbdense.core.shift.outputs import ClassOutputs
from imbdense.core.shift.prior_shift import PriorShift


def usable_prior(found: PriorShift, pool: ClassOutputs) -> Floats:
    """(K,) class shares of the pool to train with, summing to 1.

    The estimate of the classes that are 'ok'. Of 'insufficient' and 'not identifiable' ones the labelled share: a class
    that the model has stopped predicting cannot be told from nothing, and its predicted share would keep it there. Of
    classes absent from the labelled sample the share they are predicted with, which changes nothing.
    """
    predicted = np.bincount(pool.predicted, pool.weight, minlength=pool.num_classes) / pool.weight.sum()
    status = np.array(found.status)
    known = status == 'ok'
    given = np.where(status == 'absent', predicted, found.labelled)
    if not known.any() or found.em[known].sum() <= 0:
        return given / given.sum()
    rest = min(float(given[~known].sum()), 1.0)
    shares = np.where(known, np.nan_to_num(found.em) * (1.0 - rest) / found.em[known].sum(), given)
    return shares / shares.sum()
