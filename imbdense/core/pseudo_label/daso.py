"""Blend the classifier's prediction with one by feature prototypes, most where the classifier is biased most."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from imbdense.core.checks import check_integer, check_number
from imbdense.core.pseudo_label.refiner import Refiner
from imbdense.core.reduction import count_values
from imbdense.core.regions import region_sums
from imbdense.core.stats import ClassQueue, gather_over_ranks, sum_over_ranks


def daso_blend(histogram: Tensor, temperature: float = 1.5) -> Tensor:
    """How much the prototypes count for elements predicted as c: m_c = d_c^(1/T) / max_k d_k^(1/T).

    Args:
        histogram: (K,) d >= 0, recent pseudo-labels per class; all zero gives all zero.
        temperature: T > 0.

    Returns:
        (K,) float in [0, 1].

    Example: d = (.6, .3, .09, .01), T = 1.5: (1, .63, .2823, .0652).
    """
    values = histogram if histogram.is_floating_point() else histogram.float()
    return (values / values.max().clamp_min(1e-12)) ** (1.0 / temperature)


def prototype_probs(features: Tensor, prototypes: Tensor, known: Tensor, temperature: float = 0.05) -> Tensor:
    """softmax over the known classes of cos(feature, prototype) / temperature.

    Args:
        features: (N, D, *spatial) or (P, D).
        prototypes: (K, D).
        known: (K,) bool, which classes have a prototype; the others get 0.
        temperature: > 0.

    Returns:
        float32 (N, K, *spatial) or (P, K); 1 / K everywhere when no class is known.
    """
    unit = functional.normalize(features.float(), dim=1).movedim(1, -1)
    cosine = unit @ functional.normalize(prototypes.float(), dim=1).t()
    logits = torch.where(known, cosine / temperature, torch.where(known.any(), -torch.inf, 0.0))
    return torch.softmax(logits, -1).movedim(-1, 1)


class DASOBlender(Refiner):
    """Blend in a prediction by class prototypes, most for the classes that pseudo-labels prefer (DASO).

    ``p <- (1 - m_y) p + m_y p_sem``, y the class predicted by p, m of :func:`daso_blend` over the pseudo-labels of the
    last ``history`` steps, p_sem of :func:`prototype_probs`. Prototypes are the means of a queue with equally much room
    for every class; :meth:`remember` fills it from labelled images with the teacher's features. As long as there is no
    prototype or no history nothing changes.

    State (persistent): queue (K, size, D) float32 and its fill (K,) int64; pseudo-labels per step (history, K) int64.
    Histograms are summed and queue entries gathered over all ranks.

    Args:
        num_classes: K >= 2.
        feature_dim: D, channels of the features.
        queue_size: features kept per class.
        temperature: T of the blend, > 0.
        similarity: temperature of the cosine, > 0.
        history: steps whose pseudo-labels are counted.

    Source: Oh et al., DASO, CVPR 2022.
    """

    needs_features = True
    recent: Tensor

    def __init__(
        self,
        num_classes: int,
        feature_dim: int,
        queue_size: int = 256,
        temperature: float = 1.5,
        similarity: float = 0.05,
        history: int = 100,
    ) -> None:
        super().__init__(num_classes)
        owner = 'DASOBlender'
        self.temperature = check_number('temperature', temperature, low=0.0, low_open=True, owner=owner)
        self.similarity = check_number('similarity', similarity, low=0.0, low_open=True, owner=owner)
        self.queue = ClassQueue(num_classes, feature_dim, queue_size)
        steps = check_integer('history', history, low=1, owner=owner)
        self.register_buffer('recent', torch.zeros(steps, num_classes, dtype=torch.int64))

    @torch.no_grad()
    def remember(self, features: Tensor, labels: Tensor, ignore_index: int = 255) -> None:
        """Add labelled features to the queue: the mean per class of every image, or every row.

        Args:
            features: teacher's, (N, D, *smaller) or (P, D).
            labels: (N, *spatial) or (P,) int64.
            ignore_index: label that counts nothing.
        """
        rows, classes = features.float(), torch.where(labels == ignore_index, -1, labels)
        if features.ndim > 2:
            sums, pixels = region_sums(features, labels, self.num_classes, ignore_index=ignore_index)
            rows = (sums / pixels.clamp_min(1).unsqueeze(2)).flatten(0, 1)
            every = torch.arange(self.num_classes, device=labels.device)
            classes = torch.where(pixels > 0, every, -1).flatten()
        self.queue.push(*gather_over_ranks(rows, classes))

    def refine(self, probs: Tensor, valid: Tensor, features: Tensor | None) -> Tensor:
        """Blend; the result counts as pseudo-labels of this step."""
        if features is None:
            raise ValueError('DASOBlender needs features.')
        semantic = prototype_probs(features, self.queue.mean(), self.queue.filled > 0, self.similarity)
        if semantic.shape != probs.shape:
            mode = {3: 'linear', 4: 'bilinear', 5: 'trilinear'}[probs.ndim]
            semantic = functional.interpolate(semantic, size=probs.shape[2:], mode=mode, align_corners=False)
        share = daso_blend(self.recent.sum(0), self.temperature) * self.queue.filled.any()
        amount = share[probs.argmax(1)].unsqueeze(1)
        mixed = torch.lerp(probs, semantic, amount)
        if self.training:
            self._count(mixed.argmax(1), valid)
        return mixed

    def _count(self, label: Tensor, valid: Tensor) -> None:
        """Put the histogram of this step, of all ranks, in the place of the oldest."""
        classes = self.num_classes
        counts = count_values(torch.where(valid, label, classes), classes + 1)[:classes].contiguous()
        counts = sum_over_ranks(counts)[0]
        self.recent.copy_(torch.cat([counts.unsqueeze(0), self.recent[:-1]]))
