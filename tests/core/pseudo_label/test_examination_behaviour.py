"""What the examination is for: a frozen detector of the source domain tells true pseudo-boxes from false ones."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from imbdense.core.overlaps import box_iou
from imbdense.core.pseudo_label import accept, paste_regions_for_examination

SIZE, STRIDE = 64, 4


def scene(rng: np.random.Generator, target: bool = False) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Discs (0) and crosses (1) of random colour on stripes and noise; the target domain is darker, bluer, noisier."""
    y, x = np.mgrid[:SIZE, :SIZE]
    waves = np.sin(x * rng.uniform(-0.5, 0.5) + y * rng.uniform(-0.5, 0.5) + rng.uniform(0, 6))
    image = 110 + 25 * waves[..., None] + rng.normal(0, 30, 3)
    boxes, labels = np.zeros((0, 4)), []
    for _ in range(rng.integers(2, 5)):
        half = rng.integers(5, 9)
        cx, cy = rng.integers(half, SIZE - half, 2)
        box = np.array([[cx - half, cy - half, cx + half, cy + half]], dtype=float)
        if box_iou(box, boxes).sum() > 0:
            continue
        label = int(rng.integers(2))
        dx, dy = np.abs(x + 0.5 - cx), np.abs(y + 0.5 - cy)
        disc = dx**2 + dy**2 < half**2
        cross = (np.minimum(dx, dy) < half / 3) & (np.maximum(dx, dy) < half)
        image[(disc, cross)[label]] = rng.choice([-70, 70]) + 120 + rng.normal(0, 20, 3)
        boxes, labels = np.concatenate([boxes, box]), [*labels, label]
    image = image + rng.normal(0, 8, image.shape)
    if target:
        image = image * [0.75, 0.8, 0.95] + rng.normal(0, 8, image.shape)
    return image.clip(0, 255).astype(np.uint8), boxes, np.array(labels)


class Detector(nn.Module):
    """Class scores and box size at every fourth pixel, in the manner of CenterNet."""

    def __init__(self) -> None:
        super().__init__()
        widths, layers = (3, 24, 48, 48, 48), []
        for index, (before, after) in enumerate(itertools.pairwise(widths)):
            layers += [nn.Conv2d(before, after, 3, 2 if index in (1, 2) else 1, 1), nn.BatchNorm2d(after), nn.ReLU()]
        self.body, self.head = nn.Sequential(*layers), nn.Conv2d(48, 4, 3, padding=1)
        nn.init.constant_(self.head.bias[:2], -3.0)

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.body(images.float() / 64 - 2))

    @torch.no_grad()
    def detect(self, image: np.ndarray, floor: float = 0.3) -> tuple[np.ndarray, np.ndarray]:
        out = self(torch.from_numpy(image).permute(2, 0, 1)[None])[0]
        heat = out[:2].sigmoid()
        peaks = (heat == F.max_pool2d(heat, 3, 1, 1)) & (heat >= floor)
        label, row, column = torch.nonzero(peaks, as_tuple=True)
        centre = torch.stack([column, row], dim=1) * STRIDE + STRIDE / 2
        half = out[2:, row, column].T * 4
        return torch.cat([centre - half, centre + half], dim=1).double().numpy(), label.numpy()


def trained_detector(rng: np.random.Generator, steps: int = 300) -> Detector:
    model = Detector()
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    grid = np.arange(SIZE // STRIDE) * STRIDE + STRIDE / 2
    for step in range(steps):
        samples = [scene(rng) for _ in range(12)]
        heat, size = np.zeros((12, 2, grid.size, grid.size)), np.zeros((12, 2, grid.size, grid.size))
        for index, (_, boxes, labels) in enumerate(samples):
            for (x1, y1, x2, y2), label in zip(boxes, labels, strict=True):
                distance = (grid[None] - (x1 + x2) / 2) ** 2 + (grid[:, None] - (y1 + y2) / 2) ** 2
                heat[index, label] = np.maximum(heat[index, label], np.exp(-distance / 8))
                size[index][:, distance < 16] = (x2 - x1) / 8
        truth, wanted = torch.from_numpy(heat).float(), torch.from_numpy(size).float()
        out = model(torch.from_numpy(np.stack([image for image, _, _ in samples])).permute(0, 3, 1, 2))
        focal = (out[:, :2].sigmoid() - truth).abs().square() * F.binary_cross_entropy_with_logits(
            out[:, :2], truth, reduction='none')  # fmt: skip
        loss = focal.sum() / 12 + ((out[:, 2:] - wanted).abs() * (wanted > 0)).sum() / (wanted > 0).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        for group in optimizer.param_groups:
            group['lr'] = 3e-3 * (1 - step / steps)
    return model.eval()


def with_false_boxes(rng: np.random.Generator, true: np.ndarray, labels: np.ndarray):
    """Jittered true boxes and about 30 % false ones on the background, with their classes; and which are true."""
    boxes = [box + rng.normal(0, 0.6, 4) for box in true]
    classes, genuine = labels.tolist(), [True] * len(true)
    for _ in range(len(true)):
        half = rng.integers(5, 9)
        cx, cy = rng.integers(half, SIZE - half, 2)
        box = np.array([cx - half, cy - half, cx + half, cy + half], dtype=float)
        if rng.random() < 0.55 and box_iou(box, true).max() < 0.1:
            boxes.append(box)
            classes.append(int(rng.integers(2)))
            genuine.append(False)
    return np.array(boxes).clip(0, SIZE), np.array(classes), np.array(genuine)


@pytest.mark.slow
@pytest.mark.parametrize('seed', [0, 1, 2])
def test_false_boxes_are_rejected_and_true_ones_kept(seed: int) -> None:
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    model = trained_detector(rng)
    genuine, confirmed = [], []
    for _ in range(150):
        image, true, labels = scene(rng, target=True)
        host, host_boxes, _ = scene(rng)
        boxes, classes, real = with_false_boxes(rng, true, labels)
        examined = paste_regions_for_examination(image, host, boxes, host_boxes=host_boxes)
        found, found_classes = model.detect(examined.image)
        genuine.append(real)
        confirmed.append(accept(box_iou(found, examined.boxes), 0.5, pred_labels=found_classes, pseudo_labels=classes))
    real, kept = np.concatenate(genuine), np.concatenate(confirmed)
    assert 0.25 < (~real).mean() < 0.35
    assert kept[real].mean() >= 0.7
    assert 1 - kept[~real].mean() >= 0.7
