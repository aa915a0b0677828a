"""``imbdense.CosineClusterHead``."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from mmengine.model import BaseModule
from torch import Tensor, nn

from imbdense.core.checks import check_choice, check_integer, check_number
from imbdense.core.losses import shifted_cross_entropy
from imbdense.core.stats.weights import class_weight_tensor
from imbdense.registry import MODELS

BALANCES = ('none', 'cb', 'sinkhorn')


@MODELS.register_module()
class CosineClusterHead(BaseModule):
    """A classifier whose weights are the centroids of clusters, and the cross-entropy with their labels.

    ``logits = cos_scale * cos(f, w_k)``. While ``frozen``, the weights are the centroids that
    :class:`imbdense.SuperVoxelClusterHook` has set, else they are learned.

    Args:
        num_clusters: K.
        in_channels: of the features.
        cos_scale: temperature; 1 is published, but leaves probabilities nearly uniform: 15 recommended.
        normalize_frozen: ``False`` = frozen logits are products with the features as they are (published), whose
            length then acts as a temperature of its own.
        ignore_index: label without a loss.
        init_cfg: as in mmengine.

    State: ``weight`` (K, C); ``counts`` (K,) points per pseudo-label of the round, for 'cb' weights; ``merge`` (K,)
    class of each cluster, -1 while they are not merged.
    """

    card = 'pointdc'
    tasks = ('points', 'segmentation')
    conformance_arguments = {'num_clusters': 5, 'in_channels': 4}
    counts: Tensor
    merge: Tensor

    def __init__(
        self,
        num_clusters: int,
        in_channels: int,
        cos_scale: float = 1.0,
        normalize_frozen: bool = True,
        ignore_index: int = -1,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        name = 'CosineClusterHead'
        self.num_clusters = check_integer('num_clusters', num_clusters, low=1, owner=name)
        self.in_channels = check_integer('in_channels', in_channels, low=1, owner=name)
        self.cos_scale = check_number('cos_scale', cos_scale, low=0.0, low_open=True, owner=name)
        self.normalize_frozen, self.ignore_index = bool(normalize_frozen), ignore_index
        self.weight = nn.Parameter(torch.randn(num_clusters, in_channels))
        self.register_buffer('counts', torch.zeros(num_clusters, dtype=torch.int64))
        self.register_buffer('merge', torch.full((num_clusters,), -1, dtype=torch.int64))
        self.frozen, self.balance = False, 'none'

    def freeze(self, frozen: bool) -> None:
        """Whether the weights are set centroids."""
        self.frozen = bool(frozen)
        self.weight.requires_grad_(not frozen)

    @torch.no_grad()
    def set_round(self, centroids: Tensor, counts: Tensor, balance: str = 'none', *, keep_weight: bool = False) -> None:
        """Take over the clusters of a round: (K, C) centroids and the points (K,) of each label."""
        self.balance = check_choice('balance', balance, BALANCES, owner='CosineClusterHead')
        if not keep_weight:
            self.weight.copy_(F.normalize(centroids.to(self.weight), dim=1))
        self.counts.copy_(counts)
        self.merge.fill_(-1)

    def forward(self, features: Tensor) -> Tensor:
        """(P, C) -> (P, K) float32, also under autocast."""
        with torch.autocast(features.device.type, enabled=False):
            x = features.float()
            if not self.frozen or self.normalize_frozen:
                x = F.normalize(x, dim=1, eps=1e-12)
            return self.cos_scale * x @ F.normalize(self.weight.float(), dim=1, eps=1e-12).t()

    def loss(self, logits: Tensor, labels: Tensor) -> dict[str, Tensor]:
        """Cross-entropy (mean over the labelled rows, weighted if ``balance='cb'``) of (P, K) and (P,); and the share
        of labels that are hit."""
        weight = class_weight_tensor(self.counts, 'effective').to(logits) if self.balance == 'cb' else None
        value = shifted_cross_entropy(logits, labels, class_weight=weight, ignore_index=self.ignore_index)
        with torch.no_grad():
            known = labels != self.ignore_index
            hit = ((logits.argmax(1) == labels) & known).sum() / known.sum().clamp_min(1)
        return {'loss_cluster': value, 'stat_agreement': hit}

    def classes(self, clusters: Tensor) -> Tensor:
        """Merged class of cluster numbers; the numbers themselves where nothing was merged."""
        return clusters if int(self.merge[0]) < 0 else self.merge[clusters]
