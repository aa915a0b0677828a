"""``imbdense.SiamesePointChange``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from mmengine.model import BaseModel
from mmengine.registry import MODELS as HOST_MODELS
from torch import Tensor, nn

from imbdense.core.change3d import SceneVotes
from imbdense.core.checks import check_choice, check_integer
from imbdense.mm.structures.pair_inputs import PairBatch, PairCrop, PairInputs
from imbdense.mm.structures.point_seg_data_sample import PointData, PointSegDataSample
from imbdense.nn.change3d import SiamesePoints, stages_of
from imbdense.nn.sparse import SparsePoints
from imbdense.registry import MODELS

Config = Mapping[str, Any]
Samples = Sequence[PointSegDataSample]
NEIGHBORS = {'nn': 1, 'k3_idw': 3}
BACK = '_t1'


@MODELS.register_module()
class SiamesePointChange(BaseModel):
    """Change at every point of epoch 2, from two point clouds: siamese encoder, differences at every level, decoder.

    * 'loss': terms of the head at the finest cells of a batch of crops; with ``bidirectional`` those of epoch 1 as
      well, under names that end with ``_t1``.
    * 'predict': log-probabilities of all crops of a sample are summed per cell (a cell without vote takes the nearest
      voted one within two cells, else class 0); ``pred_pts_seg.semantic`` (N,) of every raw point is that of its cell.
    * 'tensor': logits at the finest cells of epoch 2.

    The network is tensor code: levels, neighbours and links are made by ``imbdense.PackPointPair``.

    Args:
        backbone: config of ``imbdense.SparseUNet``, ``imbdense.SparseFPN18`` (4 levels below the first) or
            ``imbdense.KPConvLite``.
        decode_head: config of ``imbdense.PointSegHead`` (``type`` may be left out); ``in_channels`` is filled in.
        fusion: 'diff', 'concat_diff', 'ef' (Encoder-Fusion) or 'none', see
            :class:`imbdense.nn.change3d.siamese_points.SiamesePoints`.
        neighbor: 'nn': the nearest point of epoch 1; 'k3_idw': inverse-distance mean of the three nearest (with
            ``links=3`` of ``PackPointPair``).
        bidirectional: also learn what changes at the points of epoch 1 (their labels), with a head of its own; predicts
            ``pred_pts_seg_t1`` of the cells of epoch 1: what has gone, where it was.
        hidden_channels: width of the layer before the classifier.
        crops_per_batch: crops that are predicted together.
        data_preprocessor: ``None``: the host's, which moves data.
        train_cfg, test_cfg: unused, for the host. init_cfg: as in mmengine.

    State: that of the networks. Votes are of one scene, on the rank that predicts it; nothing is reduced over ranks.

    Raises:
        ValueError: unknown names; data packed for another depth, without neighbours or with too few links.

    Source: see :mod:`imbdense.nn.change3d.siamese_points`.
    """

    card = 'pointcloud_change'
    tasks = ('point change',)
    conformance_arguments = {
        'backbone': {'type': 'imbdense.SparseUNet', 'in_channels': 1, 'base_channels': 4, 'depth': 1, 'blocks': (1,)},
        'decode_head': {'num_classes': 5, 'loss_decode': {'type': 'imbdense.BalancedSoftmaxLoss'}},
    }

    def __init__(
        self,
        backbone: Config,
        decode_head: Config,
        fusion: str = 'diff',
        neighbor: str = 'nn',
        bidirectional: bool = False,
        hidden_channels: int = 64,
        crops_per_batch: int = 4,
        data_preprocessor: Config | None = None,
        train_cfg: Config | None = None,
        test_cfg: Config | None = None,
        init_cfg: Config | None = None,
    ) -> None:
        owner = 'SiamesePointChange'
        super().__init__(
            None if data_preprocessor is None else dict(data_preprocessor), None if init_cfg is None else dict(init_cfg)
        )
        self.links = NEIGHBORS[check_choice('neighbor', neighbor, NEIGHBORS, owner=owner)]
        hidden = check_integer('hidden_channels', hidden_channels, low=1, owner=owner)
        self.crops_per_batch = check_integer('crops_per_batch', crops_per_batch, low=1, owner=owner)
        other = stages_of(HOST_MODELS.build(dict(backbone))) if fusion == 'ef' else None
        self.network = SiamesePoints(stages_of(HOST_MODELS.build(dict(backbone))), fusion, other)
        self.hidden = nn.Sequential(nn.Linear(self.network.out_channels, hidden), nn.LeakyReLU(0.2))
        head = {'type': 'imbdense.PointSegHead', 'in_channels': hidden, **decode_head}
        self.decode_head = HOST_MODELS.build(head)
        self.decode_head_t1 = HOST_MODELS.build(head) if bidirectional else None

    @property
    def num_classes(self) -> int:
        """C."""
        return int(self.decode_head.num_classes)

    def forward(
        self, inputs: Sequence[PairInputs], data_samples: Samples | None = None, mode: str = 'tensor'
    ) -> dict[str, Tensor] | list[PointSegDataSample] | Tensor:
        """What the host asks for, by ``mode``: 'loss', 'predict' or 'tensor'."""
        if mode == 'predict':
            return self.predict(inputs, data_samples or [PointSegDataSample() for _ in inputs])
        crops = [crop for sample in inputs for crop in sample.crops]
        if mode == 'loss':
            return self.loss(crops)
        if mode == 'tensor':
            return self.encode_decode(self._batch(crops))
        raise ValueError(f"SiamesePointChange: mode must be 'loss', 'predict' or 'tensor', but is {mode!r}.")

    def encode_decode(self, inputs: PairBatch, batch_img_metas: Any = None) -> Tensor:
        """Logits (V, C) at the finest cells of epoch 2."""
        logits: Tensor = self.decode_head(self._features(inputs))
        return logits

    def loss(self, crops: Sequence[PairCrop]) -> dict[str, Tensor]:
        """The terms of the head, or of both."""
        batch = self._batch(crops)
        labels = _stacked([crop.labels for crop in crops], 'epoch 2', batch)
        terms: dict[str, Tensor] = self.decode_head.loss(self._features(batch), labels)
        if self.decode_head_t1 is not None:
            labels = _stacked([crop.labels1 for crop in crops], 'epoch 1 (bidirectional=True)', batch)
            found = self.decode_head_t1.loss(self._features(batch, back=True), labels)
            terms |= {f'{name}{BACK}': value for name, value in found.items()}
        return terms

    def predict(self, inputs: Sequence[PairInputs], data_samples: Samples) -> list[PointSegDataSample]:
        """The samples with their predictions."""
        for sample, found in zip(inputs, data_samples, strict=True):
            votes = SceneVotes(len(sample.points2), self.num_classes)
            back = SceneVotes(len(sample.points1), self.num_classes)
            for start in range(0, len(sample.crops), self.crops_per_batch):
                crops = sample.crops[start : start + self.crops_per_batch]
                batch = self._batch(crops)
                _vote(votes, self.encode_decode(batch), crops, back=False)
                if self.decode_head_t1 is not None:
                    _vote(back, self.decode_head_t1(self._features(batch, back=True)), crops, back=True)
            cells = torch.from_numpy(votes.labels(sample.points2.numpy(), 2 * sample.voxel))
            semantic = cells if sample.full_cell is None else cells[sample.full_cell]
            found.pred_pts_seg = PointData(semantic=semantic)
            if self.decode_head_t1 is not None:
                labels = back.labels(sample.points1.numpy(), 2 * sample.voxel)
                found.pred_pts_seg_t1 = PointData(semantic=torch.from_numpy(labels))
        return list(data_samples)

    def _features(self, batch: PairBatch, back: bool = False) -> SparsePoints:
        """Features at the finest cells of epoch 2, or of epoch 1."""
        ends = (batch.epoch2, batch.feats2), (batch.epoch1, batch.feats1)
        (here, feats), (there, others) = ends[::-1] if back else ends
        out = self.network(here, feats, there, others, batch.links_back if back else batch.links)
        return SparsePoints(here.levels[0].coords, self.hidden(out), samples=here.samples)

    def _batch(self, crops: Sequence[PairCrop]) -> PairBatch:
        """The crops on the model's device, checked."""
        packed, depth = len(crops[0].levels2) - 1, self.network.stages.depth
        if packed != depth:
            raise ValueError(f'SiamesePointChange: pairs are packed with depth {packed}, but the backbone has {depth}. '
                             f'Set depth={depth} of imbdense.PackPointPair.')
        if crops[0].links[0].index.shape[1] < self.links:
            raise ValueError(f'SiamesePointChange: neighbor takes {self.links} links, but pairs are packed with '
                             f'{crops[0].links[0].index.shape[1]}. Set links={self.links} of imbdense.PackPointPair.')
        return PairBatch.stack(crops, next(self.parameters()).device)


def _vote(votes: SceneVotes, logits: Tensor, crops: Sequence[PairCrop], back: bool) -> None:
    """Add the log-probabilities of crops to the votes of their scene."""
    scores = logits.detach().float().log_softmax(1).cpu()
    first = 0
    for crop in crops:
        levels = crop.levels1 if back else crop.levels2
        own = scores[first : first + len(levels[0])]
        first += len(levels[0])
        points, rows = (crop.points1, crop.rows1) if back else (crop.points, crop.rows)
        votes.add(points.numpy(), own[rows].numpy())


def _stacked(labels: Sequence[Tensor | None], what: str, batch: PairBatch) -> Tensor:
    """Labels of all crops."""
    if any(item is None for item in labels):
        raise ValueError(f'SiamesePointChange: training needs labels of {what}, but a pair has none.')
    return torch.cat([item for item in labels if item is not None]).to(batch.feats2.device)
