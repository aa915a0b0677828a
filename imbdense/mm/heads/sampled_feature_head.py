"""Base of the auxiliary heads that learn from some features per class instead of from the whole map."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from mmengine.model import BaseModule
from mmengine.registry import MODELS as HOST_MODELS
from torch import Tensor, nn

from imbdense.core.checks import check_integer
from imbdense.core.losses import sample_elements


class SampledFeatureHead(BaseModule):
    """An ``auxiliary_head`` of an mmseg segmentor that draws pixels class by class and learns from their features.

    Pixels are drawn at the resolution of the *labels* (a thin or small object has no pixel left at stride 8), at most
    ``per_class`` of each class and ``most`` in all, up to half of them where the head's own classifier is wrong.
    Features are interpolated there bilinearly, so the cost does not depend on the image size. Used in training only.

    The draw comes from torch's generator, so a training seed fixes it and a resumed run repeats it.

    Args:
        in_channels: channels of the feature map.
        num_classes: C.
        channels: dimensions of the embedding.
        in_index: which feature map of the backbone or neck.
        loss_contrast: config of the loss; ``None`` = the ``default_loss`` of the class.
        per_class, most: pixels drawn, of each class and in all.
        ignore_index: label value that counts nothing.
    """

    default_loss: ClassVar[dict[str, Any]]

    def __init__(
        self,
        in_channels: int = 256,
        num_classes: int = 2,
        channels: int = 128,
        in_index: int = -1,
        loss_contrast: dict[str, Any] | None = None,
        per_class: int = 64,
        most: int = 2048,
        ignore_index: int = 255,
    ) -> None:
        super().__init__()
        owner = type(self).__name__
        self.num_classes = check_integer('num_classes', num_classes, low=2, owner=owner)
        self.in_index = in_index
        self.per_class = check_integer('per_class', per_class, low=2, owner=owner)
        self.most = check_integer('most', most, low=2, owner=owner)
        self.ignore_index = ignore_index
        self.projection = projection(in_channels, channels)
        self.classifier = nn.Linear(in_channels, num_classes)
        self.loss_contrast = HOST_MODELS.build(dict(self.default_loss if loss_contrast is None else loss_contrast))
        self.add_layers(in_channels, channels)

    def add_layers(self, in_channels: int, channels: int) -> None:
        """Make what a subclass needs beside projection and classifier."""

    @abstractmethod
    def losses(self, features: Tensor, labels: Tensor) -> dict[str, Tensor]:
        """Loss terms of the drawn (M, in_channels) features and (M,) labels; the same keys when M is 0."""

    def loss(self, inputs: Any, batch_data_samples: Any, train_cfg: Any) -> dict[str, Tensor]:
        """What mmseg calls: draw pixels, take their features, return the loss terms."""
        features = inputs[self.in_index]
        target = torch.stack([sample.gt_sem_seg.data for sample in batch_data_samples]).squeeze(1)
        with torch.no_grad():
            coarse = F.linear(features.float().movedim(1, -1), self.classifier.weight, self.classifier.bias).argmax(-1)
            guess = F.interpolate(coarse.unsqueeze(1).float(), target.shape[1:], mode='nearest').squeeze(1)
            drawn = sample_elements(
                target.flatten(), self.num_classes, wrong=(guess != target).flatten(), per_class=self.per_class,
                most=self.most, ignore_index=self.ignore_index,
            )
        return self.losses(features_at(features, drawn, target.shape), target.flatten()[drawn].long())

    def embed(self, features: Tensor) -> Tensor:
        """Unit vectors (M, channels)."""
        return F.normalize(self.projection(features), dim=1)


def projection(in_channels: int, channels: int) -> nn.Sequential:
    """Linear, ReLU, linear."""
    return nn.Sequential(nn.Linear(in_channels, in_channels), nn.ReLU(inplace=True), nn.Linear(in_channels, channels))


def features_at(features: Tensor, index: Tensor, shape: torch.Size) -> Tensor:
    """Bilinear features (M, D) float32 of a map (N, D, h, w) at flat pixel indices of a label map (N, H, W).

    The pixel centres are those of ``F.interpolate(align_corners=False)``.
    """
    _, height, width = shape
    image = torch.div(index, height * width, rounding_mode='floor')
    place = index % (height * width)
    rows, columns = features.shape[2:]
    y = ((torch.div(place, width, rounding_mode='floor') + 0.5) * rows / height - 0.5).clamp(0, rows - 1)
    x = ((place % width + 0.5) * columns / width - 0.5).clamp(0, columns - 1)
    top, left = y.floor().long(), x.floor().long()
    bottom, right = (top + 1).clamp_max(rows - 1), (left + 1).clamp_max(columns - 1)
    down, over = (y - top).unsqueeze(1), (x - left).unsqueeze(1)
    upper = torch.lerp(features[image, :, top, left].float(), features[image, :, top, right].float(), over)
    lower = torch.lerp(features[image, :, bottom, left].float(), features[image, :, bottom, right].float(), over)
    return torch.lerp(upper, lower, down)
