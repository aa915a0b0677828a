"""Behaviour that can fail: fixed and cosine classifiers on a long-tailed segmentation task of seconds.

Six classes, pixels 141k : 14k : 5.6k : 2.0k : 0.8k : 0.27k, 150 steps, balanced test set; the images of the losses' own
behaviour test. Plain cross-entropy has not found the two rarest classes by then.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from imbdense.core.losses import dot_regression_from_logits, seen_feature_norm
from imbdense.core.metrics.neural_collapse import smallest_angle
from imbdense.core.representation import fixed_frame
from imbdense.nn.classifiers import CosineConv2d, FixedFrameClassifier
from tests.helpers.long_tail_task import CLASSES, TAIL, make_images

Make = Callable[[int, Tensor], nn.Module]
Loss = Callable[[Tensor, Tensor], Tensor]
WIDTH, SEEDS = 16, (0, 1, 2)


class LearnedAfterNorm(nn.Module):
    """The same path of features as in front of a fixed frame, and a learned classifier: what does the frame add?"""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(WIDTH, CLASSES - 1, 1, bias=False), nn.BatchNorm2d(CLASSES - 1))
        self.last = nn.Conv2d(CLASSES - 1, CLASSES, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.features(x))


def train_and_test(make: Make, loss: Loss, seed: int) -> tuple[float, float, float]:
    """(recall of the two rarest classes, mIoU, angle between their classifier vectors in degrees)."""
    images, labels = make_images(160, TAIL, seed)
    counts = torch.bincount(labels.flatten(), minlength=CLASSES).double()
    torch.manual_seed(seed)
    trunk = (nn.Conv2d(4, WIDTH, 3, padding=1), nn.ReLU(), nn.Conv2d(WIDTH, WIDTH, 3, padding=1), nn.ReLU())
    net = nn.Sequential(*trunk, make(WIDTH, counts))
    optimizer = torch.optim.AdamW(net.parameters(), 3e-3)
    generator = torch.Generator().manual_seed(seed)
    for _ in range(150):
        batch = torch.randint(0, 160, (8,), generator=generator)
        optimizer.zero_grad()
        loss(net(images[batch]), labels[batch]).backward()
        optimizer.step()
    images, labels = make_images(80, torch.full((5,), 0.2), 1000 + seed)
    with torch.no_grad():
        place = labels.flatten() * CLASSES + net.eval()(images).argmax(1).flatten()
    table = torch.bincount(place, minlength=CLASSES**2).reshape(CLASSES, CLASSES).double()
    hit, last = table.diag(), net[-1]
    iou = hit / (table.sum(0) + table.sum(1) - hit)
    vectors = last.etf.T if isinstance(last, FixedFrameClassifier) else getattr(last, 'last', last).weight.flatten(1)
    recall = hit / table.sum(1)
    return recall[4:].mean().item(), iou.mean().item(), smallest_angle(vectors[4:].detach().double())


def over_seeds(name: str, make: Make, loss: Loss = F.cross_entropy) -> Tensor:
    """Mean of the three numbers over the seeds."""
    runs = torch.tensor([train_and_test(make, loss, seed) for seed in SEEDS])
    recall, iou, angle = runs.mean(0)
    print(f'{name:<24} rare recall {recall:.3f} +- {runs[:, 0].std():.3f}, mIoU {iou:.3f}, tail angle {angle:.1f}')
    return runs.mean(0)


def fixed(frame: str, gamma: float = 0.0) -> Make:
    def make(width: int, counts: Tensor) -> nn.Module:
        vectors = fixed_frame(frame, CLASSES, counts=counts if frame == 'gof' else None, gamma=gamma)
        return FixedFrameClassifier(width, vectors, nn.BatchNorm2d(vectors.shape[0]))

    return make


def learned(width: int, counts: Tensor) -> nn.Module:
    return nn.Conv2d(width, CLASSES, 1)


def dot_regression(pred: Tensor, target: Tensor) -> Tensor:
    return dot_regression_from_logits(pred, target, seen_feature_norm(pred))


@pytest.fixture(scope='module')
def plain() -> Tensor:
    """Cross-entropy on a learned 1 x 1 classifier."""
    return over_seeds('CE', learned)


@pytest.mark.slow
def test_etf_finds_rare_classes_earlier_and_keeps_their_vectors_apart(plain: Tensor) -> None:
    etf = over_seeds('ETF, CE', fixed('etf'))
    assert etf[0] >= plain[0] + 0.05 and etf[1] >= plain[1]
    assert etf[2].item() == pytest.approx(math.degrees(math.acos(-1 / (CLASSES - 1))), abs=1e-3)
    assert plain[2] < etf[2]


@pytest.mark.slow
@pytest.mark.parametrize('name', ['cosine', 'dot regression', 'learned after norm'])
def test_others_find_rare_classes_earlier_too(name: str, plain: Tensor) -> None:
    """The last is the control: most of the gain at this length of training comes from the normalised features."""
    make, loss = {
        'cosine': (lambda width, counts: CosineConv2d(width, CLASSES), F.cross_entropy),
        'dot regression': (fixed('etf'), dot_regression),
        'learned after norm': (lambda width, counts: LearnedAfterNorm(), F.cross_entropy),
    }[name]
    assert over_seeds(name, make, loss)[0] >= plain[0] + 0.05


@pytest.mark.slow
def test_long_vectors_for_the_head_hold_the_tail_back() -> None:
    found = {gamma: over_seeds(f'GOF gamma {gamma:+.2f}', fixed('gof', gamma)) for gamma in (-0.25, 0.0, 0.25)}
    assert found[-0.25][0] > found[0.25][0] + 0.1 and found[0.0][0] > found[0.25][0] + 0.1
