"""``imbdense.MuonAdamW``."""

from __future__ import annotations

from imbdense.core import optim
from imbdense.registry import OPTIMIZERS


@OPTIMIZERS.register_module()
class MuonAdamW(optim.MuonAdamW):
    """Muon (orthogonalised momentum) for weight matrices, AdamW or SGD for all other parameters.

    Arguments, state, behaviour over ranks and under AMP: :class:`imbdense.core.optim.MuonAdamW`. Use it with
    ``constructor='imbdense.MuonOptimWrapperConstructor'``, which knows classifiers, stems and embeddings from hidden
    matrices; alone it gives every parameter of two dimensions and more to Muon.
    """

    card = 'muon'
    tasks: tuple[str, ...] = ('segmentation', 'detection', 'points')
