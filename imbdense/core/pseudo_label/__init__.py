"""Labels a model made itself: which to trust, and how to correct their class distribution.

Rules, ``rule(probs, valid) -> PseudoLabels(label, weight, accepted)`` and ``rule.select(scores, labels)``:

* :class:`FixedThreshold` - FixMatch, one threshold or one per class.
"""

from imbdense.core.pseudo_label.fixed import FixedThreshold
from imbdense.core.pseudo_label.labeler import PseudoLabeler, PseudoLabels

__all__ = ['FixedThreshold', 'PseudoLabeler', 'PseudoLabels']
