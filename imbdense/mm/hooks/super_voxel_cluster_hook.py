"""``imbdense.SuperVoxelClusterHook``."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.dataset import pseudo_collate
from mmengine.hooks import Hook
from mmengine.logging import MMLogger
from mmengine.registry import DATASETS
from mmengine.runner import EpochBasedTrainLoop

from imbdense.core.checks import check_choice, check_integer, check_number
from imbdense.core.selection import SphericalKMeans
from imbdense.mm.clusters.round import ClusterRound, cluster_round
from imbdense.mm.freezing import unwrapped
from imbdense.mm.heads.cosine_cluster_head import BALANCES
from imbdense.mm.prior import META_KEY
from imbdense.mm.segmentors.cluster_segmentor import ClusterSegmentor, PooledParts
from imbdense.registry import HOOKS
from imbdense.utils.distributed import rank_and_world
from imbdense.utils.files import atomic_open

PLACE = 'cluster_round'


@HOOKS.register_module()
class SuperVoxelClusterHook(Hook):
    """Cluster the super-voxels of all training scenes every ``interval`` epochs, and label them by their clusters.

    Before the first epoch of a round: run the model over the scenes in evaluation mode without gradient, pool the
    features of each part, spherical k-means over all parts (:class:`~imbdense.core.selection.SphericalKMeans`), put
    the clusters in the order of the round before, give labels and centroids to the model. In the stage 'warmup' there
    is one round, before the first epoch; the head starts from the centroids (published: from random numbers, which
    throws good features away where the warm-up is short) and then learns its own weights.

    Files: ``work_dir/pseudo/round_XX/<scene>.npy``, int64 (S,) label of each part, -1 = none (a part whose feature is
    zero). State: the whole round lies in the checkpoint, so a resumed run goes on within it as one that was not
    stopped. Ranks: scenes are shared, rows are sorted by scene and part, rank 0 clusters, so the result does not depend
    on the number of ranks. Epoch-based loops only.

    Args:
        num_clusters: K, the same as of the head.
        interval: epochs between rounds. rounds: at most so many; ``None`` = no end.
        pipeline: of the scenes while they are pooled: the training pipeline without crops and augmentation, as the
            numbers of the parts must be those of the training. ``None`` = that of ``val_dataloader``.
        balance: 'none'; 'cb' = class-balanced weights of the loss by pseudo-label counts; 'sinkhorn' = labels by
            optimal transport to clusters whose shares follow a power law with ``prior_exponent``. Equal shares (0)
            would split the largest class.
        kmeans: further arguments of SphericalKMeans (``n_init``, ``size_power``, ``seed``, ...); log-size weights are
            the default here, which was steadier on the toy of the card.
        merge_to: classes that more clusters (primitives) are merged to for predictions alone, by k-means on the
            centroids; ``None`` = every cluster is one.

    Raises:
        ValueError: before training: another loop or model, other numbers of clusters. TooFewRowsError: fewer parts
            than clusters.

    Source: Chen et al., PointDC, ICCV 2023; matching of rounds, balance and sharing over ranks are ours.
    """

    card = 'pointdc'
    tasks = ('points', 'segmentation')
    priority = 'HIGH'
    conformance_arguments = {'num_clusters': 5}

    def __init__(
        self,
        num_clusters: int,
        interval: int = 5,
        rounds: int | None = None,
        pipeline: Sequence[Any] | None = None,
        balance: str = 'none',
        prior_exponent: float = 1.0,
        kmeans: Mapping[str, Any] | None = None,
        merge_to: int | None = None,
    ) -> None:
        name = 'SuperVoxelClusterHook'
        self.interval = check_integer('interval', interval, low=1, owner=name)
        self.rounds = None if rounds is None else check_integer('rounds', rounds, low=1, owner=name)
        self.balance = check_choice('balance', balance, BALANCES, owner=name)
        self.prior_exponent = check_number('prior_exponent', prior_exponent, low=0.0, owner=name)
        self.kmeans = SphericalKMeans(num_clusters, **{'size_power': 'log', **(kmeans or {})})
        self.merge = None
        if merge_to is not None:
            check_integer('merge_to', merge_to, low=1, high=num_clusters, owner=name)
            self.merge = SphericalKMeans(merge_to, seed=self.kmeans.seed)
        self.pipeline = None if pipeline is None else list(pipeline)
        self._round: ClusterRound | None = None

    def before_train(self, runner: Any) -> None:
        """Check loop and model; build the scenes."""
        model, problem = unwrapped(runner.model), None
        if not isinstance(runner.train_loop, EpochBasedTrainLoop):
            problem = 'it needs an EpochBasedTrainLoop'
        elif not isinstance(model, ClusterSegmentor):
            problem = f'it needs imbdense.PointDCSegmentor or its kin, but the model is a {type(model).__name__}'
        elif model.stage == 'distill':
            problem = "the stage is 'distill', which has no clusters; leave the hook out"
        elif model.head.num_clusters != self.kmeans.num_clusters:
            problem = f'num_clusters={self.kmeans.num_clusters}, but the head has {model.head.num_clusters}'
        if problem:
            raise ValueError(f'SuperVoxelClusterHook: {problem}.')
        self.scenes = self._build_scenes(runner)
        if self._round is not None:  # resumed
            self._enter(model, self._round, keep_weight=True)

    def before_train_epoch(self, runner: Any) -> None:
        """Make the round that begins with this epoch."""
        model = unwrapped(runner.model)
        warmup = model.stage == 'warmup'
        number, rest = divmod(runner.epoch, self.interval)
        if warmup:
            number, rest = 0, runner.epoch
        if rest or (self.rounds is not None and number >= self.rounds):
            return
        before = None if self._round is None or warmup else self._round.centroids
        found = cluster_round(self._pool(model), self.kmeans, number, before,
                              self.prior_exponent if self.balance == 'sinkhorn' else None)  # fmt: skip
        self._log(found, self._round)
        self._round = found
        self._enter(model, found, keep_weight=False)
        if rank_and_world()[0] == 0:
            _write(Path(runner.work_dir) / 'pseudo' / f'round_{number:02d}', found)

    def before_save_checkpoint(self, runner: Any, checkpoint: dict[str, Any]) -> None:
        """Keep the round."""
        if self._round is not None:
            checkpoint['meta'].setdefault(META_KEY, {})[PLACE] = self._round.state()

    def after_load_checkpoint(self, runner: Any, checkpoint: dict[str, Any]) -> None:
        """Go on within the round of the checkpoint, if training is resumed; other weights begin with their own."""
        state = ((checkpoint.get('meta') or {}).get(META_KEY) or {}).get(PLACE)
        if state is not None and runner._resume:
            self._round = ClusterRound.from_state(state)

    def _build_scenes(self, runner: Any) -> Any:
        """The training scenes with the pipeline for pooling."""
        config = copy.deepcopy(dict(runner.cfg.train_dataloader.dataset))
        pipeline = self.pipeline
        if pipeline is None:
            pipeline = (runner.cfg.get('val_dataloader') or {}).get('dataset', {}).get('pipeline')
        if pipeline is None or 'pipeline' not in config:
            raise ValueError('SuperVoxelClusterHook: give pipeline=[...], the training pipeline without augmentation; '
                             'the training data set must be a plain one with a pipeline.')
        config['pipeline'] = copy.deepcopy(list(pipeline))
        return DATASETS.build(config)

    def _pool(self, model: ClusterSegmentor) -> list[PooledParts]:
        """The parts of this rank's scenes, by the model as it is, in evaluation mode."""
        rank, world = rank_and_world()
        training = model.training
        model.eval()
        found: list[PooledParts] = []
        try:
            with torch.no_grad():
                for index in range(rank, len(self.scenes), world):
                    data = model.data_preprocessor(pseudo_collate([self.scenes[index]]), False)
                    found += model.pooled(data['inputs'], data['data_samples'])
        finally:
            model.train(training)
        return found

    def _enter(self, model: ClusterSegmentor, found: ClusterRound, *, keep_weight: bool) -> None:
        """Labels and centroids to the model."""
        model.set_labels(found.labels)
        model.head.set_round(found.centroids, found.counts, self.balance, keep_weight=keep_weight)
        if self.merge is not None:
            model.head.merge.copy_(torch.from_numpy(self.merge.fit(found.centroids).labels))

    def _log(self, found: ClusterRound, before: ClusterRound | None) -> None:
        """Sizes of the clusters, and how much has changed."""
        changed = ''
        if before is not None:
            same = [(found.labels[name] == before.labels[name]).sum().item() for name in found.labels
                    if name in before.labels and len(before.labels[name]) == len(found.labels[name])]  # fmt: skip
            total = sum(len(values) for values in found.labels.values())
            changed = f'; {1 - sum(same) / max(total, 1):.1%} of the parts changed their cluster'
        filled = int((found.parts > 0).sum())
        shares = (found.counts.double() / found.counts.sum().clamp_min(1)).sort(descending=True).values
        MMLogger.get_current_instance().info(
            f'SuperVoxelClusterHook: round {found.number}, {int(found.parts.sum())} parts in {filled} of '
            f'{len(found.parts)} clusters, shares of the elements '
            f'{" ".join(f"{share:.3f}" for share in shares[:12].tolist())}{" ..." if len(shares) > 12 else ""}'
            f'{changed}.'
        )
        if filled < len(found.parts) - 1:
            MMLogger.get_current_instance().warning(
                f'SuperVoxelClusterHook: {len(found.parts) - filled} clusters are empty: the features collapse, or '
                f'prior_exponent={self.prior_exponent:g} asks for shares that no part fits.'
            )


def _write(folder: Path, found: ClusterRound) -> None:
    """The labels of each scene."""
    for name, labels in found.labels.items():
        with atomic_open(folder / f'{_file_name(name)}.npy') as handle:
            np.save(handle, labels.numpy())


def _file_name(name: str) -> str:
    """A scene's name ('Area_1/office_2') or an image's path as the name of one file."""
    return name.strip('/').replace('/', '-').replace('\\', '-')
