"""``imbdense.PaCoLoss``."""

from __future__ import annotations

from torch import Tensor

from imbdense.core.checks import check_number
from imbdense.core.losses import paco_loss
from imbdense.core.stats import fill_empty_classes
from imbdense.mm.losses.base import LossCall, loss_arguments
from imbdense.mm.losses.counted import CountedLoss
from imbdense.registry import MODELS


@MODELS.register_module()
@loss_arguments
class PaCoLoss(CountedLoss):
    """Parametric contrastive loss on features and class logits; the loss of PaCoHead.

    See :func:`imbdense.core.losses.paco_loss` for the formula. Where the class prior comes from: :class:`CountedLoss`;
    running counts are those of the sampled elements. ``prior=False`` with ``smoothing`` > 0 is GPaCo.

    Args:
        alpha, beta, gamma: weights of the pairs, of the class term, of the pairs in the denominator.
        temperature, logit_temperature: of the pairs and of the class logits.
        smoothing: in [0, 1).
        prior: add the log prior to the class logits.
        others: see :class:`CountedLoss`.
    """

    alpha: float = 0.05
    beta: float = 1.0
    gamma: float = 1.0
    temperature: float = 0.2
    logit_temperature: float = 1.0
    smoothing: float = 0.0
    prior: bool = True
    loss_name: str = 'loss_paco'

    card = 'contrastive'
    tasks = ('features',)

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ('alpha', 'beta', 'gamma'):
            setattr(self, name, check_number(name, getattr(self, name), low=0.0, owner='PaCoLoss'))
        for name in ('temperature', 'logit_temperature'):
            setattr(self, name, check_number(name, getattr(self, name), low=0.0, low_open=True, owner='PaCoLoss'))
        self.smoothing = check_number('smoothing', self.smoothing, low=0.0, high=0.999, owner='PaCoLoss')

    def forward(self, features: Tensor, labels: Tensor, logits: Tensor) -> Tensor:  # type: ignore[override]
        """Compute the loss of unit ``features`` (M, D), ``labels`` (M,) with -1 = ignored, ``logits`` (B, C)."""
        call = LossCall(-1, None, 'valid', None, self.reduction, False)
        counts = None
        if self.prior:
            counts = fill_empty_classes(self.counts_for(logits, labels[: logits.shape[0]], call))
        return self.loss_weight * paco_loss(
            features, labels, logits, counts if self.rebalancing else None, alpha=self.alpha, beta=self.beta,
            gamma=self.gamma, temperature=self.temperature, logit_temperature=self.logit_temperature,
            smoothing=self.smoothing, reduction=self.reduction,
        )

    def rebalanced(self, pred: Tensor, target: Tensor, call: LossCall) -> Tensor:
        """Not used: this loss needs features."""
        raise TypeError('PaCoLoss needs features and is the loss of imbdense.PaCoHead, not of a decode head.')

    def log_change(self, counts: Tensor) -> Tensor:
        """The class term is a logit-adjusted cross-entropy with tau = 1."""
        return -fill_empty_classes(counts).log() if self.prior else counts * 0.0
