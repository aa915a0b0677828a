"""PriorBiasInitHook on a segmentor: the first softmax is the pixel frequencies, the first loss their entropy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

pytest.importorskip('mmseg')

from mmengine.dataset import pseudo_collate

from tests.mm.hooks.tiny_run import runner, write_dataset

BIAS = {'type': 'imbdense.PriorBiasInitHook', 'target': 'conv_seg'}
PIXELS = np.array([552 * 8 - 48 * 8 - 8, 48 * 8, 8])  # ground, roof, mast; the first row of each image is ignored
CE = {'type': 'CrossEntropyLoss', 'loss_weight': 1.0, 'avg_non_ignore': True}


@pytest.fixture(scope='module')
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp('tiny')
    write_dataset(folder)
    return folder


def started(dataset: Path, work_dir: Path, **changes: Any) -> Any:
    """A runner stopped where training would begin."""
    run = runner(dataset, work_dir, hooks=changes.pop('hooks', [BIAS]), loss=changes.pop('loss', CE), **changes)
    run.train_loop.run = lambda: run.call_hook('before_train') or run.model
    run.train()
    return run


def first_answers(run: Any) -> tuple[torch.Tensor, float]:
    """Logits of all training images, (8, C, 24, 24), and the mean loss."""
    model = run.model
    data = model.data_preprocessor(pseudo_collate([run.train_dataloader.dataset[i] for i in range(8)]), True)
    with torch.no_grad():
        logits = model.decode_head(model.extract_feat(data['inputs']))
        losses = model(**data, mode='loss')
    return logits, next(value.item() for name, value in losses.items() if 'loss' in name)


def entropy(share: np.ndarray) -> float:
    return float(-(share * np.log(share)).sum())


def test_first_softmax_and_loss(dataset: Path, tmp_path: Path) -> None:
    share = PIXELS / PIXELS.sum()
    logits, loss = first_answers(started(dataset, tmp_path / 'with'))
    assert np.abs(logits.softmax(1).mean((0, 2, 3)).numpy() - share).max() < 0.02
    assert loss == pytest.approx(entropy(share), rel=0.05)
    _, without = first_answers(started(dataset, tmp_path / 'without', hooks=[]))
    assert without > 2 * loss


def test_sigmoid(dataset: Path, tmp_path: Path) -> None:
    """One sigmoid per class: the mean of each is its frequency."""
    run = started(dataset, tmp_path, loss={**CE, 'use_sigmoid': True})
    logits, _ = first_answers(run)
    assert np.abs(logits.sigmoid().mean((0, 2, 3)).numpy() - PIXELS / PIXELS.sum()).max() < 0.02
    prior = (PIXELS + 1) / (PIXELS.sum() + 3)
    assert run.model.decode_head.conv_seg.bias.tolist() == pytest.approx(np.log(prior / (1 - prior)), rel=1e-5)


def test_balanced_softmax_starts_balanced(dataset: Path, tmp_path: Path) -> None:
    """Its shift is the prior already; the bias would be a second one."""
    hooks = [{'type': 'imbdense.ClassCountHook'}, BIAS]
    run = started(dataset, tmp_path, hooks=hooks, loss={'type': 'imbdense.BalancedSoftmaxLoss'})
    assert run.model.decode_head.conv_seg.bias.abs().max() < 0.15  # log(9 / 8) for the mast: the added one
    assert first_answers(run)[1] == pytest.approx(entropy(PIXELS / PIXELS.sum()), rel=0.05)


def test_class_weights_weigh_the_prior(dataset: Path, tmp_path: Path) -> None:
    run = started(dataset, tmp_path, loss={**CE, 'class_weight': [1.0, 2.0, 50.0]})
    weighed = (PIXELS * [1, 2, 50] + 1) / (PIXELS * [1, 2, 50] + 1).sum()
    assert run.model.decode_head.conv_seg.bias.softmax(0).tolist() == pytest.approx(weighed, rel=1e-4)


def test_what_the_sampler_leaves_is_taken(dataset: Path, tmp_path: Path) -> None:
    """Images with the mast are drawn more often, as the ledger says; the start is that of the drawn pixels."""
    hooks = [{'type': 'imbdense.ClassCountHook'}, BIAS]
    sampler = {'type': 'imbdense.RepeatFactorSampler', 'threshold': 1.0, 'seed': 0}
    run = started(dataset, tmp_path, hooks=hooks, sampler=sampler)
    assert run.model.decode_head.conv_seg.bias.softmax(0)[2] > 1.2 * 9 / (PIXELS.sum() + 3)


def test_per_pixel_losses_beside_a_dice(dataset: Path, tmp_path: Path) -> None:
    run = started(dataset, tmp_path, loss=[{'type': 'DiceLoss', 'loss_name': 'loss_dice'}, CE])
    assert run.model.decode_head.conv_seg.bias.softmax(0).tolist() == pytest.approx(
        (PIXELS + 1) / (PIXELS.sum() + 3), rel=1e-4)


def test_a_given_prior_says_nothing_about_a_softmax(dataset: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match='says nothing about a softmax'):
        started(dataset, tmp_path, hooks=[{**BIAS, 'prior': 0.01}])


def test_assigned_is_for_detection(dataset: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"count='assigned' counts what a detection head learns.*pixels"):
        started(dataset, tmp_path, hooks=[{'type': 'imbdense.ClassCountHook', 'count': 'assigned'}])


@pytest.mark.parametrize('channels', [1, 2])
def test_two_classes(channels: int, tmp_path: Path) -> None:
    """K = 2 as a softmax, and as one sigmoid channel that says class 1."""
    from types import SimpleNamespace

    from torch import nn

    from imbdense.core.stats import AssignedCounts
    from imbdense.mm.assigned_counts.class_layers import find_class_layers
    from imbdense.mm.prior_bias import start_biases

    model = nn.Module()
    model.decode_head = nn.Module()
    model.decode_head.conv_seg = nn.Conv2d(3, channels, 1)
    model.decode_head.out_channels = channels
    model.decode_head.loss_decode = SimpleNamespace(use_sigmoid=channels == 1, class_weight=None, cls_criterion=None)
    counts = AssignedCounts(('ground', 'road'), [9990, 10], 0)
    bias = start_biases(find_class_layers(model)[0], counts)['decode_head.conv_seg.bias']
    share = bias.sigmoid() if channels == 1 else bias.softmax(0)
    assert share[-1].item() == pytest.approx(11 / 10002)


def test_query_heads_match_one_query_per_class_and_image(dataset: Path, tmp_path: Path) -> None:
    """Mask2Former: ground and roof are in all eight images, the mast in two; twenty queries each."""
    from types import SimpleNamespace

    from mmengine.logging import MessageHub
    from torch import nn

    from imbdense.mm.assigned_counts.class_layers import find_class_layers
    from imbdense.mm.assigned_counts.run import run_counts

    run = runner(dataset, tmp_path)
    loader = run.build_dataloader(run.cfg.train_dataloader, seed=0)
    model = nn.Module()
    model.decode_head = nn.Module()
    model.decode_head.num_queries = 20
    model.decode_head.cls_embed = nn.Linear(4, 4)
    stand_in = SimpleNamespace(
        model=model, train_dataloader=loader, message_hub=MessageHub.get_instance('queries'))  # fmt: skip
    found = run_counts(stand_in, find_class_layers(model))['decode_head']
    assert found.foreground.tolist() == [8, 8, 2] and found.total == 160
