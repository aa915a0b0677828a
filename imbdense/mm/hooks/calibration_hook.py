"""``imbdense.CalibrationHook``."""

from __future__ import annotations

from typing import Any

import numpy as np

from imbdense.core.inference import LogitCalibration
from imbdense.core.stats import PriorLedger
from imbdense.core.stats.ledger import TOLERANCE
from imbdense.mm.datasets.label_source import dataset_classes
from imbdense.mm.hooks.test_time_hook import TestTimeHook
from imbdense.mm.inference.calibration_file import CalibrationFileError, read_calibration, record_correction
from imbdense.registry import HOOKS


@HOOKS.register_module()
class CalibrationHook(TestTimeHook):
    """Apply what ``imbdense calibrate`` fitted to the logits of a finished model at validation and test.

    NorCal, logit adjustment, FRACAL, per-class thresholds or a temperature, for mmseg segmentors and for the RoI, dense
    and query heads of mmdet; see :class:`imbdense.core.inference.LogitCalibration` for what is done to a logit.

    The file says which classes it is for and what was known of the model's prior; on another class list, or on a model
    whose checkpoint tells of another prior, it is refused. A model that was balanced already is not corrected again
    (``DoubleCorrectionError`` names who did it).

    Args:
        file: the ``calibration.json``.
        force: apply it all the same.
    """

    card = 'calibrate'
    tasks = ('segmentation', 'detection')
    conformance_arguments = {'file': 'calibration.json'}

    def __init__(self, file: str, force: bool = False) -> None:
        super().__init__(force)
        self.file = str(file)

    def calibration(self, runner: Any, model: Any, dataset: Any, ledger: PriorLedger | None) -> LogitCalibration:
        """Read the file, check that it is for this model."""
        stored = read_calibration(self.file)
        classes = dataset_classes(dataset)
        if tuple(classes) != stored.classes:
            raise CalibrationFileError(
                f'{self.file} was fitted for the classes {list(stored.classes)}, but the data set has {list(classes)}.'
            )
        if ledger is not None and stored.before is not None and not self.force:
            gap = np.abs(np.log(ledger.prior) - np.log(stored.before.prior)).max()
            if gap > TOLERANCE:
                raise CalibrationFileError(
                    f'{self.file} was fitted on a model with another class prior (largest difference: factor '
                    f'{np.exp(gap):.3g}). Fit it anew with `imbdense calibrate`, or set force=True.\n'
                    f'{stored.before.describe()}\nnow:\n{ledger.describe()}'
                )
        known = ledger or stored.before
        if known is not None:
            record_correction(
                PriorLedger.from_dict(known.to_dict()), stored.calibration, stored.assumed, force=self.force
            )
        return stored.calibration
