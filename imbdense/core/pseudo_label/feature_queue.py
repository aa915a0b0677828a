"""A memory of features with equally much room for every class."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from imbdense.core.checks import check_integer
from imbdense.core.stats import gather_over_ranks


def class_mean_features(
    features: Tensor, labels: Tensor, num_classes: int, ignore_index: int = 255
) -> tuple[Tensor, Tensor, Tensor]:
    """The mean feature of every class in every image.

    The label map is reduced to the resolution of the features as the *share* of each class per cell, so a class that is
    smaller than a cell is not lost.

    Args:
        features: (N, D, *smaller), float; or (P, D), where every row is kept as it is.
        labels: (N, *spatial) or (P,) int64; values outside [0, K) count nothing.
        num_classes: K.
        ignore_index: label that counts nothing.

    Returns:
        (means (M, D), classes (M,) int64, present (M,) bool), M = N * K or P.
    """
    usable = (labels != ignore_index) & (labels >= 0) & (labels < num_classes)
    if features.ndim == 2:
        return features, torch.where(usable, labels, 0), usable
    pool: Callable[..., Tensor] = (
        functional.adaptive_avg_pool1d, functional.adaptive_avg_pool2d, functional.adaptive_avg_pool3d
    )[features.ndim - 3]
    index = torch.where(usable, labels, num_classes).unsqueeze(1)
    onehot = features.new_zeros(len(labels), num_classes + 1, *labels.shape[1:]).scatter_(1, index, 1.0)
    share = pool(onehot[:, :num_classes], features.shape[2:]).flatten(2)
    mass = share.sum(2)
    means = torch.bmm(share, features.flatten(2).transpose(1, 2)) / mass.clamp_min(1e-12).unsqueeze(2)
    classes = torch.arange(num_classes, device=labels.device).repeat(len(features))
    return means.flatten(0, 1), classes, mass.flatten() > 0


class FeatureQueue(nn.Module):
    """The last ``size`` features of every class.

    State (persistent): ``features`` (K, size, D) float32, ``filled`` (K,) int64 features ever added per class. What is
    pushed on any rank enters on all; every rank must push equally many rows.

    Args:
        num_classes: K.
        feature_dim: D.
        size: per class.
    """

    features: Tensor
    filled: Tensor

    def __init__(self, num_classes: int, feature_dim: int, size: int = 256) -> None:
        super().__init__()
        check_integer('feature_dim', feature_dim, low=1, owner='FeatureQueue')
        check_integer('queue_size', size, low=1, owner='FeatureQueue')
        self.register_buffer('features', torch.zeros(num_classes, size, feature_dim))
        self.register_buffer('filled', torch.zeros(num_classes, dtype=torch.int64))

    @torch.no_grad()
    def push(self, features: Tensor, classes: Tensor, present: Tensor) -> None:
        """Add the rows (M, D) of the classes (M,) where ``present`` (M,); of more than ``size``, the last."""
        number, size, dim = self.features.shape
        if features.ndim != 2 or features.shape[1] != dim:
            raise ValueError(f'FeatureQueue: features must be (M, {dim}), but are {tuple(features.shape)}.')
        features, classes, present = gather_over_ranks(
            features.to(self.features), classes.long(), present.to(torch.uint8)
        )
        member = functional.one_hot(classes, number) * present.long().unsqueeze(1)
        place = (member.cumsum(0) - 1).gather(1, classes.unsqueeze(1)).squeeze(1)
        added = member.sum(0)
        last = (present > 0) & (place >= added[classes] - size)
        slot = torch.where(last, classes * size + (self.filled[classes] + place) % size, number * size)
        room = torch.cat([self.features.view(-1, dim), self.features.new_zeros(1, dim)])
        room[slot] = features
        self.features.copy_(room[:-1].view_as(self.features))
        self.filled += added

    def prototypes(self) -> tuple[Tensor, Tensor]:
        """((K, D) means of the queue, (K,) bool: whether a class has any feature)."""
        size = self.features.shape[1]
        number = self.filled.clamp_max(size).clamp_min(1)
        return self.features.sum(1) / number.unsqueeze(1), self.filled > 0
