"""What pretext tasks share: the feature map they look at, and the terms they return."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from imbdense.core.checks import check_integer
from imbdense.core.reduction import full_precision
from imbdense.core.representation import balanced_labels, embedding_spread


class PretextTask(nn.Module, ABC):
    """A task without labels for a backbone that gives feature maps (one, or a list of them).

    The backbone stays outside: the task is handed it in every call, so its weights keep their own names in checkpoints.

    Args:
        in_channels: C >= 1, channels of the feature map that is used.
        in_index: which of the maps of the backbone; -1 = the last.
    """

    num_views = 1
    """Views of each image that are needed; further ones are images more for tasks of one view."""

    def __init__(self, in_channels: int, in_index: int = -1) -> None:
        super().__init__()
        self.in_channels = check_integer('in_channels', in_channels, low=1, owner=type(self).__name__)
        self.in_index = check_integer('in_index', in_index, owner=type(self).__name__)

    @abstractmethod
    def forward(self, backbone: nn.Module, views: Sequence[Tensor]) -> dict[str, Tensor]:
        """Terms of a batch: ``loss_*`` to be minimised and ``stat_*`` to be looked at.

        Args:
            backbone: images (N, 3, H, W) -> feature map (N, C, h, w) or several.
            views: ``num_views`` batches or more of equal shape (N, 3, H, W), preprocessed; image i of each is a view
                of the same image.
        """

    def attach(self, backbone: nn.Module) -> None:
        """Build what needs the structure of the backbone; called once, when the model is built."""

    def start(self, backbone: nn.Module) -> None:
        """Called after the weights of the backbone were initialised."""

    def feature_map(self, backbone: nn.Module, images: Tensor) -> Tensor:
        """(N, C, h, w): the map ``in_index`` of the backbone.

        Raises:
            ValueError: there is no such map, or it has other channels; the message says which there are.
        """
        maps = backbone(images)
        maps = list(maps) if isinstance(maps, (list, tuple)) else [maps]
        there = [item.shape[1] for item in maps]
        if not -len(maps) <= self.in_index < len(maps) or there[self.in_index] != self.in_channels:
            raise ValueError(
                f'{type(self).__name__}: in_index={self.in_index} with in_channels={self.in_channels}, but the maps of '
                f'the backbone have {there} channels. Set both to one of these.'
            )
        return maps[self.in_index]


def global_average(features: Tensor) -> Tensor:
    """(N, C, h, w) -> (N, C) in full precision."""
    return full_precision(features).mean((2, 3))


def mlp(channels: Sequence[int], *, dense: bool = False) -> nn.Sequential:
    """Linear layers (1 x 1 convolutions if ``dense``) of these channels with ReLU between them."""
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(channels):
        layers += [nn.Conv2d(inputs, outputs, 1) if dense else nn.Linear(inputs, outputs), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers[:-1])


def check_batch(images: Tensor, least: int, owner: str) -> None:
    """Raise when a batch is too small for the batch statistics of the task."""
    if images.shape[0] < least:
        raise ValueError(
            f'{owner}: the batch has {images.shape[0]} image(s), at least {least} are needed on each rank, since '
            f'embeddings are normalised over the batch. Raise batch_size of the data loader.'
        )


def classification_terms(embeddings: Tensor, logits: Tensor, labels: Tensor) -> dict[str, Tensor]:
    """``loss_pretext`` (cross-entropy), ``stat_accuracy`` and ``stat_embedding_spread`` of tasks that classify."""
    with torch.autocast(logits.device.type, enabled=False):
        loss = F.cross_entropy(full_precision(logits), labels)
    return {
        'loss_pretext': loss,
        'stat_accuracy': (logits.detach().argmax(1) == labels).float().mean(),
        'stat_embedding_spread': embedding_spread(embeddings),
    }


def one_label_each(views: Sequence[Tensor], classes: int) -> tuple[Tensor, Tensor]:
    """All views as one batch, and balanced labels for it."""
    images = torch.cat(list(views))
    return images, balanced_labels(images.shape[0], classes, images.device)
