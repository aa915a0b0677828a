"""CenterCollapseHead: a step in a real segmentor, what is frozen, the two ways to pool, where the counts come from."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch

pytest.importorskip('mmseg.models')

from mmengine.config import ConfigDict
from mmengine.registry import DefaultScope
from mmengine.structures import PixelData
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from mmseg.utils import register_all_modules

from imbdense.core.losses import center_collapse_loss
from imbdense.core.stats import ClassCounts, PriorLedger
from tests.helpers.two_ranks import run_two_ranks

register_all_modules(init_default_scope=False)

CLASSES = 4


@pytest.fixture(autouse=True)
def segmentation_scope() -> Iterator[None]:
    """Heads build their parts in the scope of the run."""
    with DefaultScope.overwrite_default_scope('mmseg'):
        yield


def head_of(**changes: Any) -> Any:
    torch.manual_seed(0)
    config = {'type': 'imbdense.CenterCollapseHead', 'in_channels': 6, 'num_classes': CLASSES, 'dropout_ratio': 0.0}
    return MODELS.build({**config, **changes})


def blocks(seed: int = 0) -> torch.Tensor:
    """Labels (2, 64, 64) with regions of 16 x 16 pixels; the last class on the second image only."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.randint(0, CLASSES - 1, (2, 4, 4), generator=generator)
    coarse[1, 0, 0] = CLASSES - 1
    return coarse.repeat_interleave(16, 1).repeat_interleave(16, 2)


def samples(labels: torch.Tensor) -> list[SegDataSample]:
    return [SegDataSample(gt_sem_seg=PixelData(data=label[None])) for label in labels]


def smooth_features(labels: torch.Tensor, size: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    colours = torch.randn(CLASSES, 6, generator=generator)
    maps = colours[labels].movedim(-1, 1)
    return torch.nn.functional.avg_pool2d(maps, 64 // size) + 0.02 * torch.randn(2, 6, size, size, generator=generator)


def test_a_step_moves_the_backbone_and_nothing_of_the_head() -> None:
    model = MODELS.build({
        'type': 'EncoderDecoder', 'backbone': {'type': 'ResNet', 'depth': 18, 'base_channels': 8},
        'decode_head': {'type': 'FCNHead', 'in_channels': 64, 'in_index': 3, 'channels': 8, 'num_classes': CLASSES},
        'auxiliary_head': [
            {'type': 'imbdense.CenterCollapseHead', 'in_channels': 64, 'in_index': 3, 'num_classes': CLASSES},
            {'type': 'FCNHead', 'in_channels': 32, 'in_index': 2, 'channels': 8, 'num_classes': CLASSES},
        ],
        'train_cfg': {}, 'test_cfg': ConfigDict(mode='whole'),
    })  # fmt: skip
    model.init_weights()
    head = model.auxiliary_head[0]
    before = {name: value.clone() for name, value in head.state_dict().items()}
    optimizer = torch.optim.SGD(model.parameters(), 0.1, weight_decay=0.1)
    start = model.backbone.conv1.weight.clone()
    for _ in range(10):
        optimizer.zero_grad()
        losses = model(torch.randn(2, 3, 64, 64), samples(blocks()), mode='loss')
        assert 'aux_0.loss_center_collapse' in losses
        losses['aux_0.loss_center_collapse'].backward()
        optimizer.step()
    assert not torch.equal(start, model.backbone.conv1.weight)
    moved = {name for name, value in head.state_dict().items() if not torch.equal(value, before[name])}
    assert moved == {'projection.bn.running_mean', 'projection.bn.running_var', 'projection.bn.num_batches_tracked',
                     'running.counts'}  # fmt: skip
    other = head_of(in_channels=64, in_index=3, seed=7)
    other.load_state_dict(head.state_dict(), strict=True)
    assert torch.equal(other.vectors, before['vectors'])


def test_the_projection_can_learn() -> None:
    head = head_of(frozen_proj=False)
    value = head.loss((torch.randn(2, 6, 8, 8),), samples(blocks()), None)['loss_center_collapse']
    value.backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in head.projection.parameters())


@pytest.mark.parametrize(('frame', 'expected'), [('etf', (5.0, 1.0, 0.8)), ('linear', (1.0, 0.5, 1.0))])
def test_published_settings_and_the_formula(frame: str, expected: tuple[float, float, float]) -> None:
    head = head_of(frame=frame, class_counts=[8, 6, 3, 1]).eval()
    assert (head.scale, head.smooth, head.loss_weight) == expected
    labels = blocks()
    features = (smooth_features(labels, 8),)
    found = head.loss(features, samples(labels), None)['loss_center_collapse']
    projected = head(features).repeat_interleave(8, 2).repeat_interleave(8, 3).movedim(1, -1)
    centres = torch.stack([projected[labels == k].mean(0) for k in range(CLASSES)])
    hidden = head.mlp(centres)
    hidden = hidden / hidden.norm(dim=1, keepdim=True) if frame == 'etf' else hidden
    prior = torch.tensor([8.0, 6, 3, 1]) / 18
    bias = 0.0 if head.bias is None else head.bias
    logits = head.scale * (hidden @ head.vectors.T + bias)
    slow = center_collapse_loss(logits, torch.arange(4), prior, smooth=head.smooth)
    assert found.item() == pytest.approx(head.loss_weight * slow.item(), rel=1e-4)


def test_as_released_the_projection_has_no_activation() -> None:
    head = head_of()
    features = torch.randn(2, 6, 8, 8)
    flat = features.movedim(1, -1).reshape(-1, 6) @ head.projection.conv.weight.flatten(1).T
    normed = (flat - flat.mean(0)) / (flat.var(0, unbiased=False) + head.projection.bn.eps).sqrt()
    assert torch.allclose(head((features,)).movedim(1, -1).reshape(-1, 128), normed, atol=1e-5)


def test_as_released_dropout_comes_behind_the_unit_length() -> None:
    head = head_of(dropout_ratio=0.5)
    centres = torch.randn(5, 128)
    hidden = torch.nn.functional.normalize(head.mlp(centres), dim=1)
    torch.manual_seed(3)
    expected = head.scale * torch.nn.functional.dropout(hidden, 0.5) @ head.vectors.T
    torch.manual_seed(3)
    assert torch.allclose(head._classify(centres), expected, atol=1e-6)


def test_the_random_classifier_is_a_linear_layer_that_just_began() -> None:
    head = head_of(frame='linear', hidden=400, num_classes=200)
    for values in (head.vectors, head.bias):
        assert values.abs().max() <= 1 / 20 and values.std().item() == pytest.approx(1 / 20 / 3**0.5, rel=0.1)
    assert torch.equal(head.bias, head_of(frame='linear', hidden=400, num_classes=200, seed=0).bias)
    assert head_of(frame='etf').bias is None


@pytest.mark.parametrize('ratio', [0.0, 0.3])
def test_enlarging_puts_the_outer_cells_on_the_outer_pixels(ratio: float) -> None:
    head = head_of(mode='up', dropout_ratio=ratio, class_counts=[8, 6, 3, 1]).eval()
    labels, features = blocks(), smooth_features(blocks(), 8)
    large = torch.nn.functional.interpolate(head((features,)), (64, 64), mode='bilinear', align_corners=True)
    centres = torch.stack([large.movedim(1, -1)[labels == k].mean(0) for k in range(CLASSES)])
    prior = torch.tensor([8.0, 6, 3, 1]) / 18
    slow = center_collapse_loss(head._classify(centres), torch.arange(4), prior)
    found = head.loss((features,), samples(labels), None)['loss_center_collapse']
    assert found.item() == pytest.approx(head.loss_weight * slow.item(), rel=1e-4)


def test_counting_labels_down_agrees_with_enlarging_features() -> None:
    labels = blocks()
    features = (smooth_features(labels, 16),)
    heads = (head_of(mode=mode, class_counts=[8, 6, 3, 1]).eval() for mode in ('down', 'up'))
    down, up = (head.loss(features, samples(labels), None)['loss_center_collapse'].item() for head in heads)
    print(f'down {down:.5f}, up {up:.5f}')
    assert down == pytest.approx(up, rel=1e-2)


def test_one_class_and_none() -> None:
    head = head_of()
    features = torch.randn(2, 6, 8, 8, requires_grad=True)
    one = head.loss((features,), samples(torch.zeros(2, 64, 64, dtype=torch.long)), None)['loss_center_collapse']
    (grad,) = torch.autograd.grad(one, features)
    assert torch.isfinite(one) and one > 0 and grad.abs().sum() > 0
    none = head.loss((features,), samples(torch.full((2, 64, 64), 255)), None)['loss_center_collapse']
    (grad,) = torch.autograd.grad(none, features)
    assert none.item() == 0 and (grad == 0).all()


def test_half_precision() -> None:
    head, labels = head_of(class_counts=[8, 6, 3, 1]).eval(), blocks()
    exact = head.loss((smooth_features(labels, 8),), samples(labels), None)['loss_center_collapse']
    with torch.autocast('cpu', torch.bfloat16):
        half = head.loss((smooth_features(labels, 8),), samples(labels), None)['loss_center_collapse']
    assert half.dtype == torch.float32 and half.item() == pytest.approx(exact.item(), rel=0.05)


def counts() -> ClassCounts:
    return ClassCounts(classes=['a', 'b', 'c', 'd'], pixels=[900, 90, 9, 1], images=[10, 8, 3, 1], num_images=10)


def test_where_the_image_counts_come_from(tmp_path: Any) -> None:
    head, ledger = head_of(), PriorLedger(['a', 'b', 'c', 'd'], [900, 90, 9, 1])
    entries = len(ledger.entries)
    head.bind_prior(ledger, counts())
    assert len(ledger.entries) == entries
    assert head._prior(blocks()).tolist() == pytest.approx([10 / 22, 8 / 22, 3 / 22, 1 / 22])
    path = tmp_path / 'class_counts.json'
    path.write_text(counts().to_json())
    stored = head_of(class_counts=str(path))
    stored.bind_prior(ledger, ClassCounts(classes=list('abcd'), images=[1, 1, 1, 1], num_images=1))
    assert stored._prior(blocks()).tolist() == pytest.approx([10 / 22, 8 / 22, 3 / 22, 1 / 22])  # given ones stay
    assert head_of(class_counts=str(path), count='pixels')._prior(blocks())[3].item() == pytest.approx(1e-3)
    running = head_of()
    images = running._prior(blocks())
    assert running.running.counts.tolist() == [2, 2, 2, 1] and images.sum().item() == pytest.approx(1)


def _running_on_rank() -> list[int]:
    import torch.distributed as dist

    with DefaultScope.overwrite_default_scope('mmseg'):
        head = head_of()
        head.loss((torch.randn(1, 6, 8, 8),), samples(blocks()[dist.get_rank()][None]), None)
        return head.running.counts.tolist()


@pytest.mark.slow
def test_two_ranks_count_the_images_of_both() -> None:
    assert run_two_ranks(_running_on_rank) == [[2, 2, 2, 1]] * 2


def test_errors() -> None:
    with pytest.raises(ValueError, match='3 entries for 4 classes'):
        head_of(class_counts=[1, 2, 3])
    with pytest.raises(ValueError, match='frame'):
        head_of(frame='simplex')
    with pytest.raises(ValueError, match='loss'):
        head_of(loss_name='center')
    with pytest.raises(ValueError, match='hidden'):
        head_of(hidden=2)
