"""``calibration.json``: a fitted calibration with what it was fitted on, and the refusal to use it on anything else."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from imbdense.core.inference import LogitCalibration
from imbdense.core.stats import PriorLedger
from imbdense.core.stats.ledger import TOLERANCE
from imbdense.utils.files import atomic_write_json

KIND = 'imbdense calibration'
FORMAT = 1


class CalibrationFileError(ValueError):
    """A calibration file is missing, broken, or was fitted on something else; the message names it."""


@dataclass(frozen=True)
class CalibrationFile:
    """Content of ``calibration.json``.

    Attributes:
        calibration: what to do to the logits. classes: in the order of the head. task: 'segmentation' or 'detection'.
        before: the ledger of the model without the calibration; ``None`` when nothing was known of its training.
        assumed: (C,) distribution the calibration believes to correct; ``None`` when it corrects none (a
            temperature), or what was fitted to the outputs themselves (thresholds).
        facts: checkpoint, data fingerprint, held-out gain: for the reader.
    """

    calibration: LogitCalibration
    classes: tuple[str, ...]
    task: str
    before: PriorLedger | None
    assumed: tuple[float, ...] | None
    facts: dict[str, Any]

    def write(self, path: str | os.PathLike[str]) -> None:
        """Write the file atomically."""
        atomic_write_json(path, {
            'kind': KIND, 'format': FORMAT, 'task': self.task, 'classes': list(self.classes),
            'calibration': self.calibration.to_dict(),
            'ledger': None if self.before is None else self.before.to_dict(),
            'assumed': None if self.assumed is None else list(self.assumed),
            **self.facts,
        })  # fmt: skip


def read_calibration(path: str | os.PathLike[str]) -> CalibrationFile:
    """Read and check a file of :meth:`CalibrationFile.write`.

    Raises:
        CalibrationFileError: it is not there, not JSON, or not a calibration of this format.
    """
    try:
        record = json.loads(Path(path).read_text(encoding='utf-8'))
    except OSError as error:
        raise CalibrationFileError(
            f'{path} cannot be read ({error.strerror}). `imbdense calibrate CONFIG CKPT --method norcal` writes it.'
        ) from error
    except ValueError as error:
        raise CalibrationFileError(f'{path} is not valid JSON ({error}); write it anew.') from error
    if not isinstance(record, dict) or record.get('kind') != KIND or record.get('format') != FORMAT:
        raise CalibrationFileError(
            f'{path} is no calibration.json of format {FORMAT}; `imbdense calibrate` writes one.'
        )
    try:
        ledger = record['ledger']
        known = ('kind', 'format', 'task', 'classes', 'calibration', 'ledger', 'assumed')
        return CalibrationFile(
            LogitCalibration.from_dict(record['calibration']), tuple(record['classes']), record['task'],
            None if ledger is None else PriorLedger.from_dict(ledger),
            None if record['assumed'] is None else tuple(record['assumed']),
            {key: value for key, value in record.items() if key not in known},
        )  # fmt: skip
    except (KeyError, TypeError, ValueError) as error:
        raise CalibrationFileError(f'{path} is damaged ({error}); write it anew.') from error


def record_correction(
    ledger: PriorLedger, calibration: LogitCalibration, assumed: tuple[float, ...] | None, *, force: bool
) -> None:
    """Enter a calibration into ``ledger``, or refuse it as a double correction.

    A calibration that moves no class against another (a temperature, a strength of 0) corrects nothing and is not
    entered.

    Raises:
        DoubleCorrectionError: somebody already corrected what it corrects; see :meth:`PriorLedger.apply`.
    """
    shift = np.asarray(calibration.shift if calibration.product_shift is None else calibration.product_shift)
    if np.ptp(shift) <= TOLERANCE:
        return
    ledger.apply(
        f'calibration ({calibration.method})', 'post_hoc', shift,
        assumed=None if assumed is None else np.asarray(assumed), force=force,
    )  # fmt: skip
