"""Optimisation: Muon with AdamW for what is no matrix, how flat the spectra of its updates are, and mean teachers."""

from imbdense.core.optim.mean_teacher import freeze_teacher, teacher_momentum, update_teacher
from imbdense.core.optim.muon import MuonAdamW
from imbdense.core.optim.newton_schulz import orthogonalize, orthogonalize_guarded, update_scale
from imbdense.core.optim.spectrum import spectrum_metrics

__all__ = [
    'MuonAdamW',
    'freeze_teacher',
    'orthogonalize',
    'orthogonalize_guarded',
    'spectrum_metrics',
    'teacher_momentum',
    'update_scale',
    'update_teacher',
]
