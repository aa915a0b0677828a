"""Watch the last layer of a head while it trains: its input features, and the labels its loss gets."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from imbdense.core.regions import region_means
from imbdense.nn.classifiers import CosineConv2d, CosineLinear, FixedFrameClassifier

HEADS = ('decode_head', 'roi_head.bbox_head', 'bbox_head', 'panoptic_head')
CLASSIFIERS = ('conv_seg', 'fc_cls', 'cls_embed')
PER_CLASS = 64
"""Pixels or rows drawn per (image, class): neighbours say nearly the same, and frequent classes would take it all."""

Samples = tuple[Tensor, Tensor]
"""float32 features (P, d) and int64 labels (P,), on the CPU."""


class ClassifierWatch:
    """Forward hooks on the classifier and the loss of one head; records only while ``armed``.

    Args:
        model: the model without its distributed wrapper.
        head: path of the head in the model; ``None`` = the first of :data:`HEADS` that exists. Of a list of heads (a
            cascade) the last.

    Raises:
        ValueError: no such head, or one without a linear or 1 x 1 classifier and a loss in front of it.
    """

    def __init__(self, model: nn.Module, head: str | None = None) -> None:
        self.head = find_head(model, head)
        name = next((n for n in CLASSIFIERS if isinstance(getattr(self.head, n, None), nn.Module)), None)
        loss = getattr(self.head, 'loss_decode', None) or getattr(self.head, 'loss_cls', None)
        if name is None or loss is None:
            raise ValueError(
                f'NeuralCollapseHook: {type(self.head).__name__} has no last layer called {", ".join(CLASSIFIERS)} '
                f'or no loss_decode / loss_cls. Heads that score anchors by convolutions are not supported.'
            )
        self.classifier: Any = getattr(self.head, name)
        self.num_classes, self.dim = effective_classifier(self.classifier)[0].shape
        self.armed = False
        self._features: Tensor | None = None
        self._target: Tensor | None = None
        first_loss = loss[0] if isinstance(loss, nn.ModuleList) else loss
        self._handles = [
            self._watch_features(), first_loss.register_forward_pre_hook(self._keep_target, with_kwargs=True)
        ]

    def remove(self) -> None:
        """Take the hooks off the model."""
        for handle in self._handles:
            handle.remove()

    def take(self, sample: str, generator: torch.Generator) -> Samples | None:
        """The samples of the last step and forget them; ``None`` when the step made none.

        Args:
            sample: 'region' = one mean feature per (image, class); 'pixel' = at most 64 pixels of each. Rows of
                vectors (RoIs, queries) are drawn, at most 64 per class, in both.
            generator: of the draw.
        """
        features, target = self._features, self._target
        self._features = self._target = None
        if features is None or target is None or target.is_floating_point():
            return None
        ignore = getattr(self.head, 'ignore_index', None)
        ignore = 255 if ignore is None else int(ignore)
        if features.ndim == 4 and target.ndim == 3:
            return self._of_maps(features, target, ignore, sample, generator)
        rows = features.reshape(-1, features.shape[-1])[-target.numel() :]  # all decoder layers may be stacked
        labels = self._known(target.reshape(-1), -1)
        picked = draw_per_group(labels, PER_CLASS, generator)
        return rows[picked.to(rows.device)].float().cpu(), labels[picked]

    def _of_maps(
        self, features: Tensor, target: Tensor, ignore: int, sample: str, generator: torch.Generator
    ) -> Samples:
        """Samples of feature maps (B, d, h, w) under labels (B, H, W)."""
        if sample == 'region':
            means, labels, _ = region_means(features, target, self.num_classes, ignore_index=ignore)
            return means.cpu(), labels.cpu()
        height, width = features.shape[2:]
        y = (torch.arange(height, device=target.device) * 2 + 1) * target.shape[1] // (2 * height)
        x = (torch.arange(width, device=target.device) * 2 + 1) * target.shape[2] // (2 * width)
        labels = self._known(target[:, y][:, :, x].flatten(1), ignore)
        image = torch.arange(len(labels))[:, None] * self.num_classes
        picked = draw_per_group(torch.where(labels >= 0, labels + image, -1).flatten(), PER_CLASS, generator)
        rows = features.movedim(1, -1).reshape(-1, features.shape[1])
        return rows[picked.to(rows.device)].float().cpu(), labels.flatten()[picked]

    def _known(self, labels: Tensor, ignore: int) -> Tensor:
        """Labels on the CPU with -1 for what is no class."""
        values = labels.detach().to('cpu', torch.int64)
        known = (values >= 0) & (values < self.num_classes) & (values != ignore)
        return torch.where(known, values, -1)

    def _watch_features(self) -> Any:
        """Hook on what the last product is made with: behind a norm, else in front of the dropout."""
        if isinstance(self.classifier, FixedFrameClassifier):
            return self.classifier.norm.register_forward_hook(lambda module, inputs, output: self._keep(output))
        dropout = getattr(self.head, 'dropout', None)
        watched = dropout if isinstance(dropout, nn.Module) and hasattr(self.head, 'conv_seg') else self.classifier
        return watched.register_forward_pre_hook(lambda module, inputs: self._keep(inputs[0]))

    def _keep(self, features: Tensor) -> None:
        if self.armed:
            self._features = features.detach()

    def _keep_target(self, module: nn.Module, inputs: tuple[Any, ...], named: dict[str, Any]) -> None:
        if self.armed:
            target = inputs[1] if len(inputs) > 1 else named.get('target', named.get('label'))
            self._target = target.detach() if isinstance(target, Tensor) else None


def find_head(model: nn.Module, path: str | None) -> nn.Module:
    """The module at ``path``, or at the first path of :data:`HEADS`; the last one of a list."""
    for candidate in HEADS if path is None else (path,):
        found: Any = model
        for part in candidate.split('.'):
            found = getattr(found, part, None)
        if isinstance(found, nn.ModuleList) and len(found):
            found = found[-1]
        if isinstance(found, nn.Module):
            return found
    raise ValueError(
        f'NeuralCollapseHook: {type(model).__name__} has no head at {path or " or ".join(HEADS)}; '
        f"name it with head='...'."
    )


def effective_classifier(module: Any) -> tuple[Tensor, Tensor | None]:
    """(W (K, d), b (K,) or ``None``): what the features are multiplied with; unit vectors for cosines.

    Raises:
        ValueError: neither linear nor a 1 x 1 convolution.
    """
    if isinstance(module, FixedFrameClassifier):
        return module.etf.T, None
    weight = getattr(module, 'weight', None)
    if not isinstance(module, (nn.Linear, nn.Conv2d)) or math.prod(weight.shape[2:]) != 1:
        raise ValueError(
            f'NeuralCollapseHook: the classifier is a {type(module).__name__}; it must be linear or a 1 x 1 '
            f'convolution.'
        )
    rows = weight.detach().flatten(1)
    if isinstance(module, (CosineLinear, CosineConv2d)):
        rows = nn.functional.normalize(rows.float(), dim=1)
    return rows, None if module.bias is None else module.bias.detach()


def draw_per_group(groups: Tensor, limit: int, generator: torch.Generator) -> Tensor:
    """Return the indices of at most ``limit`` uniformly drawn elements of every group, ascending.

    Args:
        groups: (P,) integer group of each element, on the CPU; negative = not drawn.
        limit: >= 1.
        generator: source of the draw.
    """
    order = torch.randperm(groups.numel(), generator=generator)
    order = order[torch.argsort(groups[order], stable=True)]
    ordered = groups[order]
    start = torch.searchsorted(ordered, ordered)  # where the group of each element begins
    keep = (torch.arange(ordered.numel()) - start < limit) & (ordered >= 0)
    return order[keep].sort().values
