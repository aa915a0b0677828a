"""Features per region against a slow reference."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from imbdense.core.representation import cell_class_counts, class_means, region_means


@pytest.mark.parametrize(('shape', 'size'), [((2, 8, 12), (4, 3)), ((1, 7, 9), (3, 4)), ((2, 4, 4), (8, 8))])
def test_counts_per_cell(shape: tuple[int, int, int], size: tuple[int, int]) -> None:
    generator = torch.Generator().manual_seed(0)
    target = torch.randint(0, 4, shape, generator=generator)
    target[torch.rand(shape, generator=generator) < 0.2] = 255
    target[0, 0, 0] = -1
    counts = cell_class_counts(target, size, 3)  # the label 3 is no class here
    slow = torch.zeros(shape[0], 3, *size)
    for b in range(shape[0]):
        for y in range(shape[1]):
            for x in range(shape[2]):
                if 0 <= target[b, y, x] < 3:
                    slow[b, target[b, y, x], y * size[0] // shape[1], x * size[1] // shape[2]] += 1
    assert torch.equal(counts, slow)


def test_where_sizes_divide_it_is_average_pooling() -> None:
    target = torch.randint(0, 5, (2, 16, 24), generator=torch.Generator().manual_seed(1))
    onehot = F.one_hot(target, 5).permute(0, 3, 1, 2).float()
    assert torch.equal(cell_class_counts(target, (4, 6), 5), F.avg_pool2d(onehot, 4) * 16)


def test_ignore_index_inside_the_classes() -> None:
    target = torch.tensor([[[0, 1], [1, 2]]])
    assert cell_class_counts(target, (1, 1), 3, ignore_index=1).flatten().tolist() == [1, 0, 1]


def test_means_of_regions_and_classes() -> None:
    """Equal to means over the pixels of nearest-neighbour enlarged features."""
    generator = torch.Generator().manual_seed(2)
    features = torch.randn(2, 6, 4, 4, generator=generator, dtype=torch.float64).float()
    target = torch.randint(0, 3, (2, 16, 16), generator=generator)
    target[0, target[0] == 2] = 0
    target[:, :3] = 255
    counts = cell_class_counts(target, (4, 4), 4)
    large = F.interpolate(features, size=(16, 16), mode='nearest').movedim(1, -1)
    regions, pixels = region_means(features, counts)
    classes, amount = class_means(features, counts)
    for k in range(4):
        for b in range(2):
            mask = target[b] == k
            expected = large[b][mask].mean(0) if mask.any() else torch.zeros(6)
            assert pixels[b, k] == mask.sum() and torch.allclose(regions[b, k], expected, atol=1e-5)
        expected = large[target == k].mean(0) if (target == k).any() else torch.zeros(6)
        assert amount[k] == (target == k).sum() and torch.allclose(classes[k], expected, atol=1e-5)


def test_half_precision_sums_in_full() -> None:
    features = torch.ones(1, 2, 64, 64, dtype=torch.bfloat16)
    counts = torch.full((1, 1, 64, 64), 16.0)
    with torch.autocast('cpu', torch.bfloat16):
        means, amount = class_means(features, counts)
    assert means.dtype == torch.float32 and means.tolist() == [[1.0, 1.0]] and amount.tolist() == [65536.0]


def test_gradient() -> None:
    features = torch.randn(2, 3, 4, 4, requires_grad=True)
    counts = cell_class_counts(torch.zeros(2, 8, 8, dtype=torch.long), (4, 4), 2)
    class_means(features, counts)[0][0, 1].backward()
    assert torch.allclose(features.grad[:, 1], torch.full((2, 4, 4), 1 / 32)) and (features.grad[:, 0] == 0).all()


def test_wrong_targets_are_named() -> None:
    with pytest.raises(ValueError, match=r'\(B, H, W\)'):
        cell_class_counts(torch.zeros(2, 1, 4, 4, dtype=torch.long), (2, 2), 3)
    with pytest.raises(TypeError, match='float32'):
        cell_class_counts(torch.zeros(2, 4, 4), (2, 2), 3)
