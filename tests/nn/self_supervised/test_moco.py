"""MoCo and DenseCL: values by hand, momentum, matching, shuffled batch norm, equal queues on two ranks."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from imbdense.nn.self_supervised import DenseCLTask, MoCoTask
from imbdense.nn.self_supervised.shuffled_batch import encode_in_groups, encode_shuffled
from tests.helpers.two_ranks import run_two_ranks
from tests.nn.self_supervised.backbones import tiny, views


def build(cls: type[MoCoTask] = MoCoTask, **options: object) -> tuple[torch.nn.Module, MoCoTask]:
    backbone = tiny()
    torch.manual_seed(2)
    task = cls(6, **({'dim': 8, 'queue_size': 20, 'groups': 1} | options))
    task.attach(backbone)
    task.start(backbone)
    return backbone, task


def test_moco_by_hand_and_its_queue_wraps_around() -> None:
    """In evaluation mode the company of an image does not matter, so plain formulas give the value."""
    backbone, task = build(queue_size=12)
    backbone.eval()
    task.eval()
    for step in range(3):
        one, two = views(seed=step)
        before = task.queue.keys.clone()
        loss = task(backbone, (one, two))['loss_pretext']
        query = F.normalize(task.projector(backbone(one)[1].mean((2, 3))), dim=1)
        key = F.normalize(task.key_projector(task.key_backbone(two)[1].mean((2, 3))), dim=1)
        logits = torch.cat([(query * key).sum(1, keepdim=True), query @ before.T], 1) / 0.2
        assert loss.item() == pytest.approx(F.cross_entropy(logits, torch.zeros(8, dtype=torch.long)).item(), rel=1e-5)
        places = torch.arange(8 * step, 8 * step + 8) % 12
        assert torch.allclose(task.queue.keys[places], key, atol=1e-6)
    assert int(task.queue.entered) == 24


def test_the_momentum_encoder_follows_before_the_batch() -> None:
    backbone, task = build(momentum=0.75)
    old = task.key_backbone.first[0].weight.clone()
    with torch.no_grad():
        backbone.first[0].weight += 1.0
    task(backbone, views())
    assert torch.allclose(task.key_backbone.first[0].weight, old + 0.25)
    assert int(task.key_backbone.first[1].num_batches_tracked) == 1, 'statistics of its own'
    assert task.key_backbone.training and not any(p.requires_grad for p in task.key_backbone.parameters())


def test_it_begins_as_the_backbone_that_was_initialised_later() -> None:
    backbone, task = build()
    backbone.load_state_dict(tiny(seed=7).state_dict())
    task.start(backbone)
    for key, value in backbone.state_dict().items():
        assert torch.equal(value, task.key_backbone.state_dict()[key])


def test_densecl_by_hand() -> None:
    """Both losses with loops over locations; the dense queue takes the mean of the local embeddings."""
    backbone, task = build(DenseCLTask, grid=2, dense_weight=0.3)
    backbone.eval()
    task.eval()
    one, two = views()
    queues = task.queue.keys.clone(), task.dense_queue.keys.clone()
    terms = task(backbone, (one, two))
    maps = [F.adaptive_avg_pool2d(net(view)[1], 2).flatten(2) for net, view in
            ((backbone, one), (task.key_backbone, two))]
    local = [proj.local(m.unflatten(2, (2, 2))).flatten(2) for proj, m in
             zip((task.projector, task.key_projector), maps)]
    losses = []
    for n in range(8):
        for s in range(4):
            cosines = F.cosine_similarity(maps[0][n, :, s, None], maps[1][n], dim=0)
            q, k = (F.normalize(v, dim=0) for v in (local[0][n, :, s], local[1][n, :, int(cosines.argmax())]))
            logits = torch.cat([(q @ k)[None], queues[1] @ q]) / 0.2
            losses.append(-float(logits.log_softmax(0)[0]))
    assert terms['loss_dense'].item() == pytest.approx(0.3 * sum(losses) / 32, rel=1e-4)
    query = F.normalize(task.projector.whole(backbone(one)[1].mean((2, 3))), dim=1)
    key = F.normalize(task.key_projector.whole(task.key_backbone(two)[1].mean((2, 3))), dim=1)
    logits = torch.cat([(query * key).sum(1, keepdim=True), query @ queues[0].T], 1) / 0.2
    expected = F.cross_entropy(logits, torch.zeros(8, dtype=torch.long)).item()
    assert terms['loss_global'].item() == pytest.approx(0.7 * expected, rel=1e-5)
    assert torch.allclose(task.dense_queue.keys[:8], F.normalize(local[1].mean(2), dim=1), atol=1e-6)


def test_densecl_without_a_grid_takes_every_location() -> None:
    backbone, task = build(DenseCLTask, grid=None)
    assert torch.isfinite(task(backbone, views())['loss_dense'])


def test_groups_see_their_own_batch_statistics() -> None:
    norm = torch.nn.BatchNorm1d(1)
    x = torch.tensor([[0.0], [2.0], [10.0], [14.0]])
    (grouped,) = encode_in_groups(lambda part: (norm(part),), x, 2)
    assert grouped.flatten().tolist() == pytest.approx([-1, 1, -1, 1], abs=1e-4)


def test_shuffling_changes_the_company_and_not_the_order() -> None:
    """An encoder without batch statistics gives the plain result; one that looks at its company sees others."""
    x = torch.arange(8.0)[:, None]
    company = set()
    for seed in range(10):
        torch.manual_seed(seed)
        plain, sums = encode_shuffled(lambda part: (2 * part, part.sum().expand(len(part))), x, 2)
        assert torch.equal(plain, 2 * x)
        company.add(float(sums[0]))
        assert float(sums.unique().sum()) == 28 or len(sums.unique()) == 1
    assert len(company) > 3


def _on_rank() -> tuple[dict[str, torch.Tensor], list[list[float]], float]:
    """Two batches of this rank; whom the keys of this rank were encoded with."""
    import torch.distributed as dist

    rank = dist.get_rank()
    backbone, task = build(DenseCLTask, grid=2)
    torch.manual_seed(rank)
    for step in range(2):
        loss = task(backbone, views(seed=10 * step + rank))['loss_dense']
    seen = []

    def spy(part: torch.Tensor) -> tuple[torch.Tensor, ...]:
        seen.append(part[:, 0].tolist())
        return (part * 2,)

    own = torch.arange(4.0)[:, None] + 10 * rank
    (everyone,) = encode_shuffled(spy, own, 1)
    assert everyone[:, 0].tolist() == [0, 2, 4, 6, 20, 22, 24, 26]
    return {k: v for k, v in task.state_dict().items() if 'queue' in k}, seen, float(loss)


def test_two_ranks_have_equal_queues_and_share_the_images() -> None:
    (queues, seen, first), (others, also_seen, second) = run_two_ranks(_on_rank)
    assert all(torch.equal(queues[key], others[key]) for key in queues) and len(queues) == 4
    assert int(queues['queue.entered']) == 32 and first != second
    assert sorted(seen[0] + also_seen[0]) == [0, 1, 2, 3, 10, 11, 12, 13]
    assert {value // 10 for value in seen[0]} == {0, 1}, 'images of both ranks'


def _keys_in_order() -> torch.Tensor:
    import torch.distributed as dist

    backbone, task = build(queue_size=16)
    backbone.eval()
    task.eval()
    images = views(number=16)
    task(backbone, tuple(view.tensor_split(2)[dist.get_rank()] for view in images))
    return task.queue.keys


def test_two_ranks_fill_the_queue_as_one_would() -> None:
    """Without batch statistics: the keys of rank 0, then those of rank 1."""
    backbone, task = build(queue_size=16)
    backbone.eval()
    task.eval()
    task(backbone, views(number=16))
    for keys in run_two_ranks(_keys_in_order):
        assert torch.allclose(keys, task.queue.keys, atol=1e-6)
