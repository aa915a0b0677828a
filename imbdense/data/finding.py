"""One fault of a data set, the same for scanner and checks."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Literal

_logger = logging.getLogger(__name__)

Severity = Literal['error', 'warning', 'note']


@dataclass(frozen=True)
class Finding:
    """A fault and its cure.

    Attributes:
        severity: ``error`` (training would fail or learn from wrong labels), ``warning`` (probably not meant),
            ``note`` (good to know).
        code: short name of the rule, for filters.
        file: the offending file; '' when it concerns the data set as a whole.
        message: what is wrong.
        cure: what to do.
        split: the split it was found in; '' when it concerns all.
    """

    severity: Severity
    code: str
    file: str
    message: str
    cure: str
    split: str = ''

    def to_dict(self) -> dict[str, str]:
        """Plain data for JSON."""
        return asdict(self)

    def __str__(self) -> str:
        where = f'{self.file}: ' if self.file else ''
        return f'{self.severity}: {where}{self.message} {self.cure}'


def log_findings(findings: Iterable[Finding]) -> None:
    """Tell what a reader changed or left out, as warnings, where nothing else shows it."""
    for finding in findings:
        _logger.warning('%s', finding)
