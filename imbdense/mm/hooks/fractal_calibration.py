"""``imbdense.FractalCalibration``."""

from __future__ import annotations

from typing import Any

import numpy as np

from imbdense.core.checks import check_number
from imbdense.core.inference import LogitCalibration, box_counting_dimension, fracal
from imbdense.core.stats import PriorLedger
from imbdense.mm.datasets.label_source import dataset_classes
from imbdense.mm.hooks.test_time_hook import TestTimeHook
from imbdense.mm.inference.calibration_file import record_correction
from imbdense.mm.inference.head_facts import gives_probabilities
from imbdense.mm.inference.run_prior import object_centres
from imbdense.registry import HOOKS


@HOOKS.register_module()
class FractalCalibration(TestTimeHook):
    """FRACAL: rebalance a finished model by frequency and spatial spread of its classes, from annotations alone.

    Nothing is fitted: image frequencies and box-counting dimensions come from the training annotations of the config
    (boxes; for segmentation the centroids of the connected parts of equal class). Put in place before a validation or
    test loop and taken away after it; formulas at :func:`imbdense.core.inference.fracal`.

    Args:
        lam: weight of the spatial term >= 0; 0 leaves the frequency term alone. `imbdense calibrate --method fracal`
            chooses it on data.
        force: calibrate a model although its ledger says that a sampler or a loss changed its prior.

    Source: Alexandridis et al., Fractal calibration for long-tailed object detection, CVPR 2025.
    """

    card = 'fracal'
    tasks = ('detection', 'segmentation')

    def __init__(self, lam: float = 2.0, force: bool = False) -> None:
        super().__init__(force)
        self.lam = check_number('lam', lam, low=0.0, owner='FractalCalibration')
        self._facts: tuple[np.ndarray[Any, Any], int, list[float], list[int]] | None = None

    def calibration(self, runner: Any, model: Any, dataset: Any, ledger: PriorLedger | None) -> LogitCalibration:
        """Count the training annotations (once), refuse a double correction."""
        classes = dataset_classes(dataset)
        if self._facts is None:
            centres, images, total = object_centres(runner.cfg, len(classes))
            dimensions = [box_counting_dimension(points) for points in centres]
            self._facts = (images, total, dimensions, [len(points) for points in centres])
        images, total, dimensions, objects = self._facts
        if ledger is None:
            ledger = PriorLedger(classes, np.asarray(objects, dtype=np.float64))
            for module in model.modules():
                if callable(getattr(module, 'declare_correction', None)):
                    module.declare_correction(ledger)
        found = fracal(images, total, dimensions, lam=self.lam, use_sigmoid=sigmoid_head(model))
        record_correction(ledger, found, ledger.entries[0].prior, force=self.force)
        return found


def sigmoid_head(model: Any) -> bool:
    """Whether the class scores of a detector are sigmoids; False for segmentors."""
    if hasattr(model, 'decode_head'):
        return False
    roi = getattr(model, 'roi_head', None)
    head = getattr(model, 'bbox_head', None) if roi is None else None
    return gives_probabilities(head) or bool(getattr(getattr(head, 'loss_cls', None), 'use_sigmoid', False))
