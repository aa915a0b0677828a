"""U2PL's contrast: confident pixels of a class against unreliable ones that are surely not of it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from imbdense.core.reduction import zero_with_graph
from imbdense.core.stats import ClassQueue


@dataclass(frozen=True)
class ContrastPixels:
    """The pixels of a batch, flattened to P.

    Attributes:
        features: (P, D) of the student, with graph; ``keys``: (P, D) of the teacher.
        label: (P,) true or pseudo-label, outside [0, K) where there is none.
        probs: (P, K) of the teacher.
        labeled: (P,) bool, pixel of a labelled image.
        reliable: (P,) bool, may be an anchor; ``unreliable``: (P,) bool, may be a negative.
    """

    features: Tensor
    keys: Tensor
    label: Tensor
    probs: Tensor
    labeled: Tensor
    reliable: Tensor
    unreliable: Tensor


def memory_contrast_loss(
    pixels: ContrastPixels,
    bank: ClassQueue,
    *,
    anchors: int = 256,
    negatives: int = 50,
    temperature: float = 0.5,
    confidence: float = 0.3,
    ranks: tuple[int, int] = (3, 20),
) -> Tensor:
    """InfoNCE per class between anchors, the mean key of their class, and negatives from the memory bank.

    For class c: anchors are reliable pixels with label c and p_c > ``confidence``; the positive is the mean teacher
    key of the reliable pixels with label c; negatives are drawn from the bank of c, to which this batch first adds the
    teacher keys of pixels that are surely not c but could be taken for it (at most ``anchors`` of them, each once):

    * unlabelled, unreliable, class c at rank [ranks[0], ranks[1]) of the teacher's probabilities (0 = most probable);
    * labelled, label not c, class c among the first ranks[0].

    ``L = 1/C sum_c mean_anchors CE([cos(a, positive), cos(a, negatives)] / temperature, 0)`` over the C classes with a
    reliable pixel; those without anchor or with an empty bank add 0. Everything is indexed by class, so that a class
    missing in the batch changes nothing for the others.

    Args:
        anchors, negatives: drawn per class and anchor, with replacement, from torch's global generator.

    Returns:
        float32 scalar; 0 with a graph when fewer than two classes have a reliable pixel.

    State: ``bank`` changes; it is that of the rank. Ranks: local.
    Source: Wang et al., U2PL, CVPR 2022.
    """
    classes = bank.num_classes
    features, keys = pixels.features.float(), pixels.keys.detach().float()
    own = pixels.label[None] == torch.arange(classes, device=keys.device)[:, None]
    reliable = own & pixels.reliable
    amount = reliable.sum(1)
    positive = F.normalize(reliable.float() @ keys / amount.clamp_min(1)[:, None], dim=1)
    _remember(bank, pixels, own, keys, min(anchors, bank.size), ranks)

    chosen, number = _draw(reliable & (confidence < pixels.probs.T), anchors)
    active = (number > 0) & (bank.filled > 0)
    terms = []
    for c in range(classes):
        anchor = F.normalize(features[chosen[c]], dim=1)
        stored = anchor @ F.normalize(bank.rows[c], dim=1).T
        picked = (torch.rand(anchors, negatives, device=keys.device) * bank.filled[c]).long().clamp_max(bank.size - 1)
        logits = torch.cat([anchor @ positive[c][:, None], stored.gather(1, picked)], 1) / temperature
        terms.append(-F.log_softmax(logits, 1)[:, 0].mean())
    seen = (amount > 0).sum()
    kept = torch.where(active & (seen > 1), torch.stack(terms), 0.0)
    return kept.sum() / seen.clamp_min(1) + zero_with_graph(features)


def _remember(
    bank: ClassQueue, pixels: ContrastPixels, own: Tensor, keys: Tensor, most: int, ranks: tuple[int, int]
) -> None:
    """Add the negatives of every class to the bank, none of them twice; of more than ``most`` a drawn part."""
    rank = pixels.probs.argsort(1, descending=True).argsort(1).T
    hard = pixels.unreliable & ~pixels.labeled & (rank >= ranks[0]) & (rank < ranks[1])
    confused = pixels.unreliable & pixels.labeled & ~own & (rank < ranks[0])
    order = (hard | confused).long().cumsum(1)
    number = order[:, -1:]
    every = torch.arange(most, device=keys.device)
    # one random start and equal steps of at least 1: no place comes twice, and all have the same chance
    steps = (number / most).clamp_min(1.0)
    start = torch.rand(number.shape, device=keys.device) * (number > most)
    wanted = torch.minimum(((every + start) * steps).long() + 1, number.clamp_min(1))
    chosen = torch.searchsorted(order, wanted).clamp_max(order.shape[1] - 1)
    classes = torch.arange(bank.num_classes, device=keys.device)[:, None]
    drawn = every < number
    bank.push(keys[chosen].flatten(0, 1), torch.where(drawn, classes, -1).flatten())


def _draw(mask: Tensor, amount: int) -> tuple[Tensor, Tensor]:
    """(C, amount) places of ``mask`` (C, P), drawn with replacement per row, and (C,) how many there are to draw from.

    The places of a row without any are of no meaning.
    """
    order = mask.long().cumsum(1)
    number = order[:, -1]
    wanted = (torch.rand(mask.shape[0], amount, device=mask.device) * number[:, None]).long() + 1
    places = torch.searchsorted(order, torch.minimum(wanted, number[:, None].clamp_min(1)))
    return places.clamp_max(mask.shape[1] - 1), number
