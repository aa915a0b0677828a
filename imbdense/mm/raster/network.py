"""A finished segmentor as a function of raw tiles of a raster: prepared as its config does it, scores by channel."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.structures import BaseDataElement
from numpy.typing import NDArray
from torch import Tensor

from imbdense.core.inference.map_layers import Comparison, ScoreGroup
from imbdense.data.raster.source_stack import SourceStack
from imbdense.mm.predictor import Predictor, innermost_dataset
from imbdense.mm.raster.loading import TileLoading
from imbdense.mm.raster.sources import SourceLoading
from imbdense.mm.segmentors.networks import class_logits

DEFAULT_TILE = 512
LOADING_KEYS = ('pipeline', 'sources', 'second_sources', 'grid', 'normalize')
"""What of the test data set decides about the values of a tile."""


@contextlib.contextmanager
def one_thread_per_tile(device: torch.device | str) -> Iterator[None]:
    """Let torch use one thread inside the block, if the network runs on the CPU: other numbers round differently."""
    before = torch.get_num_threads()
    if torch.device(device).type == 'cpu':
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


class RasterNetwork:
    """The model of a config with the weights of a checkpoint, for tiles (D * B, T, T) of one or two dates.

    A model may tell more than one map per pixel: it then has ``score_maps(inputs) -> {name: (N, C, H, W) logits}`` with
    the names ``change``, ``t1``, ``t2`` (see :func:`~imbdense.core.inference.map_layers.available_layers`), and names
    in ``maps_with_unchanged`` those whose channel 0 says "unchanged". Any other segmentor gives its class logits: the
    ``label`` of one date, the ``change`` of two.

    Args:
        config, checkpoint, device: as :class:`~imbdense.mm.predictor.Predictor`.
        dates: number of dates. amp: run the network in bfloat16 (CPU) or float16 (GPU).
        sources: what is mapped, where the model was trained on a raster data set; ``None`` = plain files.

    Attributes:
        groups: what the channels of the scores mean, known after :meth:`probe`. bands: which the config loads, or
        ``None``. classes, palette, land_cover, land_cover_palette: names and colours.

    Raises:
        ValueError: a detector, or another number of dates than the model was made for; sources without statistics.
    """

    def __init__(
        self, config: Config, checkpoint: str | Path, *, dates: int, device: str | None = None, amp: bool = False,
        sources: SourceStack | None = None,
    ) -> None:  # fmt: skip
        finished = Predictor(config, checkpoint, device)
        self.device = torch.device(finished.device)
        self.model: Any = finished.model
        if hasattr(self.model, 'predict_on'):
            self.model = self.model.predictor  # the network of a teacher-student segmentor that predicts
        if not hasattr(self.model, 'encode_decode') and not hasattr(self.model, 'score_maps'):
            raise ValueError(f'{type(self.model).__name__} is no segmentor; rasters are predicted by segmentors only.')
        self.preprocess = finished.model.data_preprocessor
        wanted = getattr(self.preprocess, 'dates', None)
        if wanted is not None and wanted != dates:
            raise ValueError(f'the model takes {wanted} date(s), but {dates} raster(s) were given.')
        self.dates, self.amp = dates, amp
        dataset = innermost_dataset(config)
        self.loading: TileLoading | SourceLoading = (
            TileLoading.of_pipeline(dataset['pipeline'], dates) if sources is None
            else SourceLoading.of(dataset, sources, finished.content)
        )  # fmt: skip
        self.bands = self.loading.bands
        self.groups: tuple[ScoreGroup, ...] = ()
        self.classes, self.palette = finished.classes, finished.palette
        meta = {**(dataset.get('metainfo') or {}), **(finished.content.get('meta', {}).get('dataset_meta') or {})}
        self.land_cover, self.land_cover_palette = _land_cover(meta)
        self.tile = _tile_size(config, dataset, self.model)
        self.facts = {
            'checkpoint': _digest(Path(checkpoint).read_bytes()), 'config': _digest(str(config.model).encode()),
            'amp': amp, 'normalisation': self.normalisation,
            'loading': _digest(str([dataset.get(key) for key in LOADING_KEYS]).encode()),
        }  # fmt: skip

    @property
    def normalisation(self) -> dict[str, list[float]]:
        """``mean`` and ``std`` per band: the training area's, else those of the preprocessor; empty without."""
        statistics = getattr(self.loading, 'statistics', None)
        if statistics is not None:
            return {'mean': list(statistics.mean), 'std': list(statistics.std)}
        found = {key: getattr(self.preprocess, key, None) for key in ('mean', 'std')}
        return {key: torch.as_tensor(value).double().flatten().tolist() for key, value in found.items()
                if value is not None}

    @property
    def comparison(self) -> Comparison | None:
        """How a model of two classifications compares them, where it has a way of its own."""
        return getattr(self.model, 'compare_dates', None)

    def prepare(self, values: NDArray[Any], valid: NDArray[np.bool_]) -> Tensor:
        """Normalise a raw tile (D * B, T, T) as in training -> float32 on the device; 0 where there are no data."""
        tile = torch.from_numpy(self.loading(values, valid))
        size = tuple(tile.shape[-2:])
        sample = BaseDataElement(metainfo={'img_shape': size, 'ori_shape': size, 'pad_shape': size})
        inputs = self.preprocess({'inputs': [tile], 'data_samples': [sample]}, False)['inputs'][0]
        if self.loading.fill is None and not valid.all():
            inputs = inputs.masked_fill(torch.from_numpy(~valid).to(inputs.device), 0.0)
        return inputs[:, : tile.shape[1], : tile.shape[2]]

    def __call__(self, inputs: Tensor) -> Tensor:
        """Scores (N, K, T, T) float32 of prepared tiles; K = channels of all groups, in their order."""
        with torch.inference_mode():
            return torch.cat([scores.float() for scores in self._maps(inputs).values()], dim=1)

    def probe(self, channels: int, tile: int) -> None:
        """Run one tile of ``channels`` bands: learn what the model gives, and see that it takes such tiles.

        Raises:
            ValueError: the model does not take these channels or this tile.
        """
        wrong = (
            f'the model does not take tiles of {channels} channels ({self.dates} date(s) of {channels // self.dates} '
            f'bands) and {tile} x {tile} pixels'
        )
        try:
            inputs = self.prepare(np.zeros((channels, tile, tile), np.uint8), np.ones((tile, tile), bool))[None]
            with torch.inference_mode():
                maps = self._maps(inputs)
        except (RuntimeError, ValueError) as error:
            reason = str(error).splitlines()[0]
            raise ValueError(f'{wrong}: {reason} Choose bands with --bands, or another --tile.') from error
        if inputs.shape[1] != channels:  # one band is broadcast over the means of three without a word
            raise ValueError(f'{wrong}: its normalisation makes {inputs.shape[1]} channels of them. Choose bands with '
                             f'--bands.')
        for name, scores in maps.items():
            if scores.shape[-2:] != inputs.shape[-2:]:
                raise ValueError(f'{wrong}: its {name} scores have the size {tuple(scores.shape[-2:])}. Choose a '
                                 f'--tile that is a multiple of 32.')
        self.groups = tuple(self._group(name, scores.shape[1]) for name, scores in maps.items())

    def _maps(self, inputs: Tensor) -> Mapping[str, Tensor]:
        """The logits of every output of the model, by name."""
        with self._autocast():
            if hasattr(self.model, 'score_maps'):
                return self.model.score_maps(inputs)
            return {'label' if self.dates == 1 else 'change': class_logits(self.model, inputs)}

    def _group(self, name: str, channels: int) -> ScoreGroup:
        """The facts of one output."""
        if channels == 1:
            head = getattr(self.model, 'decode_head', None)
            threshold = getattr(head, 'threshold', None)
            return ScoreGroup(name, 1, 0.5 if threshold is None else float(threshold))
        return ScoreGroup(name, channels, None, name in getattr(self.model, 'maps_with_unchanged', ()))

    def _autocast(self) -> contextlib.AbstractContextManager[Any]:
        """Half precision where asked for."""
        if not self.amp:
            return contextlib.nullcontext()
        dtype = torch.bfloat16 if self.device.type == 'cpu' else torch.float16
        return torch.autocast(self.device.type, dtype)


def _land_cover(meta: Mapping[str, Any]) -> tuple[list[str], Sequence[Any] | None]:
    """Names and colours of land cover from the facts of a data set."""
    found = {str(key).lower(): value for key, value in meta.items()}
    return [str(name) for name in found.get('land_cover') or ()], found.get('land_cover_palette')


def _tile_size(config: Config, dataset: Mapping[str, Any], model: Any) -> int:
    """The size the model was tested or trained on: the window of ``test_cfg``, the tile that the model remembers of its
    training, the crop of the preprocessor, the window of a raster data set, else 512."""
    window = (config.model.get('test_cfg') or {}).get('crop_size')
    trained = getattr(model, 'train_tile', None)
    if window is None and trained is not None and bool(trained.any()):
        window = trained.tolist()
    window = window or (config.model.get('data_preprocessor') or {}).get('size') or dataset.get('window')
    return max(window) if isinstance(window, (list, tuple)) else int(window or DEFAULT_TILE)


def _digest(content: bytes) -> str:
    """16 digits of the sha256."""
    return hashlib.sha256(content).hexdigest()[:16]
