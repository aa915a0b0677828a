"""Signs that an unlabelled set may harm: imbalance worse than that of the labels, other content, silent classes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imbdense.data.pseudo.filters import FilterTable, imbalance_ratio
from imbdense.mm.pseudo_label.outputs import LEVELS, Record, png_array

RELEVANT = 0.6
"""Below this share of relevant data self-training was seen to harm."""


@dataclass(frozen=True)
class Confidences:
    """How sure a model is on a set: ``histogram[q]`` of its units have a confidence in [q, q + 1) / 255.

    Units are pixels (segmentation) or images with the score of their best box (detection).
    """

    histogram: NDArray[np.int64]

    @classmethod
    def of(cls, records: Iterable[Record]) -> Confidences:
        """Of saved predictions."""
        counts = np.zeros(LEVELS + 1, np.int64)
        for record in records:
            if 'confidence' in record:
                counts += np.bincount(png_array(record['confidence']).reshape(-1), minlength=LEVELS + 1)
            elif 'scores' in record:
                best = float(record['scores'].max()) if len(record['scores']) else 0.0
                counts[min(int(best * LEVELS), LEVELS)] += 1
        return cls(counts)

    @property
    def mean(self) -> float | None:
        """Mean confidence; ``None`` of an empty set."""
        total = int(self.histogram.sum())
        return float(self.histogram @ np.arange(LEVELS + 1)) / LEVELS / total if total else None

    def share_from(self, confidence: float) -> float | None:
        """Share of the units that are at least that sure; ``None`` of an empty set."""
        total = int(self.histogram.sum())
        first = int(np.ceil(confidence * LEVELS))
        return float(self.histogram[first:].sum() / total) if total else None


def relevance(unlabelled: Confidences, labelled: Confidences) -> float | None:
    """Share of the unlabelled units whose confidence is at least half of the mean one on labelled training images.

    ``None`` where either is empty. A proxy: how much of the unlabelled data shows what the labels show.
    """
    mean = labelled.mean
    return None if mean is None else unlabelled.share_from(0.5 * mean)


def guard_report(
    table: FilterTable, labelled_counts: NDArray[np.int64] | None, relevant: float | None
) -> tuple[dict[str, Any], list[str]]:
    """(facts for the report, warnings).

    rho is the count of the most over that of the least frequent class that occurs: of the labels, of the predictions,
    of what is kept. Pseudo-labels underrate rare classes, so the estimates for the unlabelled set are upper bounds.
    """
    rho = {
        'labelled': None if labelled_counts is None else imbalance_ratio(labelled_counts),
        'unlabelled_predicted': imbalance_ratio(table.predicted),
        'unlabelled_kept': imbalance_ratio(table.kept),
    }
    warnings = []
    if table.never_predicted:
        warnings.append(f'never predicted: {", ".join(table.never_predicted)}. Their thresholds are not defined, and '
                        f'training on these labels teaches that they do not exist; a --logit-adjust-tau of 1 may help.')
    if table.lost:
        warnings.append(f'predicted, but nothing is kept of: {", ".join(table.lost)}. Another rule or a lower '
                        f'threshold keeps some.')
    if table.kept.sum() == 0:
        warnings.append('no pseudo-label at all is kept.')
    before, now = rho['labelled'], rho['unlabelled_kept']
    if before is not None and now is not None and now > 2 * before:
        warnings.append(f'the kept labels are far more imbalanced (rho {now:.3g}) than the labelled set '
                        f'(rho {before:.3g}).')
    if relevant is not None and relevant < RELEVANT:
        warnings.append(f'relevance {relevant:.2f} is below {RELEVANT}: on most of these images the model is much less '
                        f'sure than on its training images. Self-training is likely harmful.')
    facts = {'rho': rho, 'relevance': relevant, 'never_predicted': table.never_predicted, 'lost': table.lost}
    return facts, warnings
