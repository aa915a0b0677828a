"""Losses that correct the prior, against plain cross-entropy: forward and backward."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from imbdense.benchmark.speed_case import SpeedCase, Unequal, Workload, require_close
from imbdense.core.stats import class_weights

CLASSES = 19
COUNTS = [1e7 / (c + 1) ** 2 for c in range(CLASSES)]


def inputs(scale: float) -> tuple[Tensor, Tensor]:
    """Logits (1, 19, H, W) that want a gradient, and labels with a tenth ignored."""
    generator = torch.Generator().manual_seed(0)
    side = int(512 * scale**0.5)
    logits = torch.randn(1, CLASSES, side, side, generator=generator)
    target = torch.randint(CLASSES, (1, side, side), generator=generator)
    target[torch.rand(target.shape, generator=generator) < 0.1] = 255
    return logits.requires_grad_(True), target


def step(
    loss: Callable[[Tensor, Tensor], Tensor], logits: Tensor, target: Tensor
) -> Callable[[], tuple[float, Tensor]]:
    """One forward and backward pass."""

    def run() -> tuple[float, Tensor]:
        logits.grad = None
        value = loss(logits, target)
        value.backward()
        return float(value.detach()), logits.grad[0, :, :4, :4].clone()

    return run


def workload(
    scale: float,
    ours: Callable[[Tensor, Tensor], Tensor],
    formula: Callable[[Tensor, Tensor], Tensor],
    peer: Callable[[Tensor, Tensor], Tensor] | None = None,
) -> Workload:
    """Time against ``peer``, by default plain cross-entropy; check value and gradient against the ``formula``."""
    logits, target = inputs(scale)
    expected = step(formula, logits, target)()

    def check(result: tuple[float, Tensor], _plain: tuple[float, Tensor]) -> str:
        require_close('gradients', result[1], expected[1], 1e-8)
        return require_close('losses', result[0], expected[0], 1e-4)

    plain = step(peer or (lambda z, y: F.cross_entropy(z, y, ignore_index=255)), logits, target)
    return Workload(step(ours, logits, target), plain, check)


def balanced_softmax(scale: float) -> Workload:
    """imbdense.BalancedSoftmaxLoss with known counts."""
    from imbdense.registry import MODELS

    loss = MODELS.build({'type': 'imbdense.BalancedSoftmaxLoss', 'class_counts': COUNTS})
    shift = torch.log(torch.tensor(COUNTS)).view(1, -1, 1, 1)
    return workload(
        scale, lambda z, y: loss(z, y, ignore_index=255), lambda z, y: F.cross_entropy(z + shift, y, ignore_index=255)
    )


def reweighted_ce(scale: float) -> Workload:
    """imbdense.ReweightedCELoss with known counts."""
    from imbdense.registry import MODELS

    loss = MODELS.build({'type': 'imbdense.ReweightedCELoss', 'class_counts': COUNTS})
    weight = torch.as_tensor(class_weights(COUNTS, 'inverse'), dtype=torch.float32)
    return workload(
        scale, lambda z, y: loss(z, y, ignore_index=255), lambda z, y: F.cross_entropy(z, y, weight, ignore_index=255)
    )


def per_class_dice(scale: float) -> Workload:
    """imbdense.PerClassDiceLoss; the formula makes one-hot maps."""
    from imbdense.registry import MODELS

    loss = MODELS.build({'type': 'imbdense.PerClassDiceLoss'})

    def formula(logits: Tensor, target: Tensor) -> Tensor:
        valid = (target != 255).unsqueeze(1)
        truth = F.one_hot(target.where(target != 255, 0), CLASSES).movedim(-1, 1) * valid
        probability = logits.softmax(1) * valid
        sums = [part.sum((0, 2, 3)) for part in (probability * truth, probability, truth)]
        return (1 - (2 * sums[0] + 1e-3) / (sums[1] + sums[2] + 1e-3)).mean()

    return workload(scale, lambda z, y: loss(z, y, ignore_index=255), formula)


def binned_lovasz(scale: float) -> Workload:
    """imbdense.BinnedLovaszLoss against the usual sort per class (mmseg's LovaszLoss)."""
    from mmseg.models.losses.lovasz_loss import lovasz_softmax

    from imbdense.registry import MODELS

    loss = MODELS.build({'type': 'imbdense.BinnedLovaszLoss'})
    logits, target = inputs(scale)

    def check(ours: tuple[float, Tensor], peer: tuple[float, Tensor]) -> str:
        error = ((ours[1] - peer[1]).norm() / peer[1].norm()).item()
        if error > 1e-3:
            raise Unequal(f'the gradients differ by {error:.1e} (relative, L2)')
        return f'{require_close("losses", ours[0], peer[0], 1e-4)}; gradients differ by {error:.0e}'

    def peer(z: Tensor, y: Tensor) -> Tensor:
        return lovasz_softmax(z.softmax(1), y, classes='present', per_image=False, ignore_index=255)

    return Workload(
        step(lambda z, y: loss(z, y, ignore_index=255), logits, target), step(peer, logits, target), check)


CASES = (
    SpeedCase('balanced-softmax', 'BalancedSoftmaxLoss, forward + backward, 1×19×512²', 'F.cross_entropy', 1.10,
              balanced_softmax, small=2.0, repeats=15, peer_repeats=15),
    SpeedCase('reweighted-ce', 'ReweightedCELoss, forward + backward, 1×19×512²', 'F.cross_entropy', 1.10,
              reweighted_ce, small=2.0, repeats=15, peer_repeats=15),
    SpeedCase('per-class-dice', 'PerClassDiceLoss, forward + backward, 1×19×512²', 'F.cross_entropy', 3.0,
              per_class_dice, small=2.0, repeats=11, peer_repeats=11),
    SpeedCase('binned-lovasz', 'BinnedLovaszLoss, forward + backward, 1×19×512²', 'mmseg Lovász-softmax (sorts)', 0.15,
              binned_lovasz, small=0.5, repeats=7, peer_repeats=3),
)
