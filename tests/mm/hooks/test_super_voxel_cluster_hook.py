"""PointDC end to end on three small clouds: distil, warm up, iterate; resume; ranks; what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

pytest.importorskip('mmengine')

from mmengine.config import Config

from imbdense.core.selection import SphericalKMeans, TooFewRowsError
from imbdense.mm.checkpoints import load_checkpoint
from imbdense.mm.clusters.round import ClusterRound, cluster_round
from imbdense.mm.runner import SafeRunner
from imbdense.mm.segmentors.cluster_segmentor import PooledParts
from tests.helpers.tiny_clouds import tiny_config, write_clouds
from tests.helpers.two_ranks import run_two_ranks


def run(config: dict[str, Any], **changes: Any) -> Any:
    """Train and return the runner."""
    config = Config({**config, **changes, 'experiment_name': f'run_{Path(config["work_dir"]).name}'})
    runner = SafeRunner.from_cfg(config)
    runner.train()
    return runner


@pytest.fixture(scope='module')
def distilled(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """(folder of the clouds, checkpoint after distillation)."""
    folder = tmp_path_factory.mktemp('pointdc')
    write_clouds(folder)
    run(tiny_config(folder, folder / 'distill', 'distill', 10))
    return folder, folder / 'distill' / 'epoch_10.pth'


def test_unseen_points_are_known_after_distillation_and_clusters_are_the_classes(distilled: tuple[Path, Path]) -> None:
    folder, weights = distilled
    warmup = run(tiny_config(folder, folder / 'warm', 'warmup', 1), load_from=str(weights))
    labels = np.load(folder / 'warm' / 'pseudo' / 'round_00' / 'scene_0.npy')
    assert labels.min() >= 0 and labels.max() == 2
    assert warmup.model.head.weight.requires_grad and not list((folder / 'warm' / 'pseudo').glob('round_01'))
    runner = run(tiny_config(folder, folder / 'iterate', 'iterate', 3), load_from=str(folder / 'warm' / 'epoch_1.pth'))
    scores = runner.val_loop.run()
    assert scores['mIoU'] > 0.8 and scores['IoU/car'] > 0.5
    assert sorted(p.name for p in (folder / 'iterate' / 'pseudo').iterdir()) == ['round_00', 'round_01']
    assert not runner.model.head.weight.requires_grad
    seen, unseen = seen_and_unseen_accuracy(runner, folder)
    assert unseen >= 0.8 * seen


def seen_and_unseen_accuracy(runner: Any, folder: Path) -> tuple[float, float]:
    """oAcc of the points that views saw and of the others, by point-wise predictions."""
    from mmengine.dataset import pseudo_collate

    from imbdense.core.matching import match_clusters

    runner.model.eval()
    runner.model.part_vote = False
    table = np.zeros((2, 3, 3), np.int64)
    for data in runner.val_loop.dataloader.dataset:
        batch = runner.model.data_preprocessor(pseudo_collate([data]), False)
        with torch.no_grad():
            sample = runner.model(**batch, mode='predict')[0]
        unseen = (~sample.point_info.view_features.any(1)).long().numpy()
        np.add.at(table, (unseen, sample.gt_pts_seg.semantic.numpy(), sample.pred_pts_seg.semantic.numpy()), 1)
    owner = match_clusters(table.sum(0))
    hit = [sum(t[owner[k], k] for k in range(3)) / t.sum() for t in table]
    return hit[0], hit[1]


@pytest.mark.parametrize('stop', [1, pytest.param(2, marks=pytest.mark.slow)])
def test_resumed_within_a_round_equals_a_straight_run(distilled: tuple[Path, Path], stop: int) -> None:
    """Rounds begin at the epochs 0 and 2; stop within one, and between two."""
    folder, weights = distilled
    straight = tiny_config(folder, folder / f'straight_{stop}', 'iterate', 3)
    run(straight, load_from=str(weights))
    stopped = tiny_config(folder, folder / f'stopped_{stop}', 'iterate', stop)
    run(stopped, load_from=str(weights))
    run({**stopped, 'train_cfg': straight['train_cfg']}, resume=True)
    wanted, found = (load_checkpoint(folder / f'{name}_{stop}' / 'epoch_3.pth') for name in ('straight', 'stopped'))
    for name, value in wanted['state_dict'].items():
        assert torch.equal(found['state_dict'][name], value), name


def test_balance_merge_and_refusals(distilled: tuple[Path, Path]) -> None:
    folder, weights = distilled
    for balance in ('cb', 'sinkhorn'):
        run(tiny_config(folder, folder / balance, 'iterate', 1, balance=balance), load_from=str(weights))
    config = tiny_config(folder, folder / 'merge', 'iterate', 1, num_clusters=8, merge_to=3)
    config['model']['head']['num_clusters'] = 8
    runner = run(config, load_from=str(weights))
    assert sorted(set(runner.model.head.merge.tolist())) == [0, 1, 2] and runner.val_loop.run()['mIoU'] > 0.5
    for change, message in (({'stage': 'distill'}, 'leave the hook out'), ({}, 'but the head has 3')):
        config = tiny_config(folder, folder / 'wrong', 'iterate', 1, num_clusters=3 if change else 4)
        config['model'].update(change)
        with pytest.raises(ValueError, match=message):
            run(config)
    with pytest.raises(ValueError, match='no pseudo-labels of scene_'):
        run({**tiny_config(folder, folder / 'wrong', 'warmup', 1), 'custom_hooks': []})


def parts(seed: int, names: tuple[str, ...]) -> list[PooledParts]:
    """Pooled scenes that are functions of their names."""
    found = []
    for name in names:
        rng = np.random.default_rng([seed, int(name[-1])])
        rows = torch.from_numpy(rng.normal(size=(40, 6))).float()
        rows[3] = 0
        found.append(PooledParts(name, rows, torch.from_numpy(rng.integers(1, 90, 40))))
    return found


def _round_on_rank() -> dict[str, Any]:
    """Two ranks with two scenes each, of which one is the padding of a sampler."""
    import torch.distributed as dist

    own = ('s0', 's2') if dist.get_rank() == 0 else ('s1', 's0')
    return cluster_round(parts(0, own), SphericalKMeans(5, n_init=3), 0).state()


def test_the_round_does_not_depend_on_the_ranks() -> None:
    alone = cluster_round(parts(0, ('s2', 's0', 's1')), SphericalKMeans(5, n_init=3), 0).state()
    for found in run_two_ranks(_round_on_rank):
        assert torch.equal(found['centroids'], alone['centroids']) and torch.equal(found['counts'], alone['counts'])
        assert all(torch.equal(found['labels'][name], alone['labels'][name]) for name in ('s0', 's1', 's2'))
    assert alone['labels']['s0'][3] == -1  # no feature, no label


def test_rounds_are_lined_up_and_bad_features_named() -> None:
    first = cluster_round(parts(0, ('s0', 's1')), SphericalKMeans(4, seed=0), 0)
    again = cluster_round(parts(0, ('s0', 's1')), SphericalKMeans(4, seed=9), 1, first.centroids)
    same = (first.centroids * again.centroids).sum(1)
    assert (same > 0.5).all()
    back = ClusterRound.from_state(first.state())
    assert torch.equal(back.labels['s1'], first.labels['s1']) and back.number == 0
    wrong = parts(0, ('s0',))
    wrong[0].features[5, 1] = float('nan')
    with pytest.raises(ValueError, match='of s0 hold NaN'):
        cluster_round(wrong, SphericalKMeans(4), 0)
    with pytest.raises(TooFewRowsError, match='39 rows cannot make 50'):
        cluster_round(parts(0, ('s0',)), SphericalKMeans(50), 0)
