"""Optimisation: Muon with AdamW for what is no matrix, and how flat the spectra of its updates are."""

from imbdense.core.optim.muon import MuonAdamW
from imbdense.core.optim.newton_schulz import orthogonalize, orthogonalize_guarded, update_scale
from imbdense.core.optim.spectrum import spectrum_metrics

__all__ = ['MuonAdamW', 'orthogonalize', 'orthogonalize_guarded', 'spectrum_metrics', 'update_scale']
