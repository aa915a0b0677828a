"""Is an unlabelled pool like the labelled data?

* :func:`frechet_distance`, :func:`frechet_shift` - distance of features, its limit, its permutation p-value;
* :func:`mean_discrepancy`, :func:`classify_domains` - two other views of the same question;
* :func:`estimate_prior_shift` - class shares of the pool (:func:`em_priors`, :func:`bbse_prior`);
* :func:`class_conditional_shift` - does one class look different?
* :func:`forecast_gain` - what semi-supervised training would gain, predicted from planted shifts;
* :func:`measure_shift` - all of it as one :class:`ShiftReport`;
* :class:`LabelledGaussian` - how far single images of the pool are from the labelled ones.
"""

from imbdense.core.shift.class_conditional import ClassShift, ClassVectors, class_conditional_shift
from imbdense.core.shift.domain_classifier import DomainClassifier, classify_domains
from imbdense.core.shift.em_prior import em_priors, fit_bias_temperature
from imbdense.core.shift.forecast import Forecast, forecast_gain
from imbdense.core.shift.frechet import FrechetDistance, FrechetShift, frechet_distance, frechet_shift
from imbdense.core.shift.image_weights import LabelledGaussian, ledoit_wolf
from imbdense.core.shift.mmd import MeanDiscrepancy, mean_discrepancy
from imbdense.core.shift.outputs import ClassOutputs
from imbdense.core.shift.pair import VectorPair, prepare_pair
from imbdense.core.shift.prior_shift import PriorShift, bbse_prior, class_separation, estimate_prior_shift
from imbdense.core.shift.report import ADVICE, PoolSample, ShiftReport, measure_shift
from imbdense.core.shift.usable_prior import usable_prior

__all__ = [
    'ADVICE',
    'ClassOutputs',
    'ClassShift',
    'ClassVectors',
    'DomainClassifier',
    'Forecast',
    'FrechetDistance',
    'FrechetShift',
    'LabelledGaussian',
    'MeanDiscrepancy',
    'PoolSample',
    'PriorShift',
    'ShiftReport',
    'VectorPair',
    'bbse_prior',
    'class_conditional_shift',
    'class_separation',
    'classify_domains',
    'em_priors',
    'estimate_prior_shift',
    'fit_bias_temperature',
    'forecast_gain',
    'frechet_distance',
    'frechet_shift',
    'ledoit_wolf',
    'mean_discrepancy',
    'measure_shift',
    'prepare_pair',
    'usable_prior',
]
