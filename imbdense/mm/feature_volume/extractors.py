"""What looks at an image: a frozen backbone of a host, or colours and textures counted by hand."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import torch
import torch.nn.functional as F
from mmengine.logging import MMLogger
from mmengine.registry import MODELS as HOST_MODELS
from numpy.typing import NDArray
from torch import Tensor

from imbdense.core.checks import check_integer

HAND = 'rgb+lbp'


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """The host tells of the origin of every single tensor."""
    logger = MMLogger.get_current_instance()
    level = logger.level
    logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        logger.setLevel(level)


class Extractor(Protocol):
    """Feature maps of one image."""

    def __call__(self, image: NDArray[np.uint8]) -> list[Tensor]:
        """(H, W, 3) RGB -> maps (C_k, h_k, w_k), each over the whole image."""


class HandFeatures:
    """Colour and texture: 16 channels at every pixel, without any weights; for tests and as a baseline.

    RGB - 1/2 of the pixel, the same of its neighbourhood, and the histogram of rotation-invariant uniform local binary
    patterns (10 bins, less their mean) of the neighbourhood.

    Args:
        window: side of the neighbourhood in pixels, odd.

    Source: Ojala et al., TPAMI 2002 (LBP).
    """

    def __init__(self, window: int = 9) -> None:
        if check_integer('window', window, low=1, owner='HandFeatures') % 2 == 0:
            raise ValueError(f'HandFeatures: window must be odd, but is {window}.')
        self.window = window

    def __call__(self, image: NDArray[np.uint8]) -> list[Tensor]:
        """(H, W, 3) -> one map (16, H, W)."""
        rgb = torch.from_numpy(image).permute(2, 0, 1).float() / 255 - 0.5
        codes = F.one_hot(uniform_patterns(rgb.mean(0)), 10).permute(2, 0, 1).float() - 0.1
        around = torch.cat([rgb, codes])[None]
        pad = self.window // 2
        mean = F.avg_pool2d(F.pad(around, (pad,) * 4, mode='replicate'), self.window, stride=1)
        return [torch.cat([rgb, mean[0]])]


def uniform_patterns(grey: Tensor) -> Tensor:
    """(H, W) int64 in [0, 9]: how many of the 8 neighbours are at least as bright, if they lie in one run around the
    circle (0..8), and 9 for all other patterns. Pixels beyond the border repeat the border."""
    padded = F.pad(grey[None, None], (1, 1, 1, 1), mode='replicate')[0, 0]
    height, width = grey.shape
    ring = ((0, 0), (0, 1), (0, 2), (1, 2), (2, 2), (2, 1), (2, 0), (1, 0))
    bits = torch.stack([padded[y : y + height, x : x + width] >= grey for y, x in ring])
    changes = (bits != bits.roll(1, 0)).sum(0)
    return torch.where(changes <= 2, bits.sum(0), 9)


class BackboneFeatures:
    """Maps of a frozen backbone in evaluation mode, each of unit length at every place.

    Args:
        backbone: config of any backbone of mmseg, with ``init_cfg`` for its weights and ``out_indices`` for the layers.
        mean, std: of its RGB input in 0..255.
        layers: which of its outputs; ``None`` = all.
        rgb: whether it wants RGB; ``False`` = BGR.
        device: where it runs.
    """

    def __init__(
        self,
        backbone: Mapping[str, Any],
        mean: Sequence[float] = (123.675, 116.28, 103.53),
        std: Sequence[float] = (58.395, 57.12, 57.375),
        layers: Sequence[int] | None = None,
        rgb: bool = True,
        device: str = 'cpu',
    ) -> None:
        self.model = HOST_MODELS.build(dict(backbone))
        with _quiet():
            self.model.init_weights()
        self.model.to(device).eval()
        self.layers, self.rgb, self.device = layers, rgb, device
        self.mean, self.std = (torch.tensor(values, dtype=torch.float32)[:, None, None] for values in (mean, std))

    @torch.no_grad()
    def __call__(self, image: NDArray[np.uint8]) -> list[Tensor]:
        """(H, W, 3) RGB -> the chosen maps."""
        pixels = (torch.from_numpy(image).permute(2, 0, 1).float() - self.mean) / self.std
        maps = self.model((pixels if self.rgb else pixels.flip(0))[None].to(self.device))
        maps = [maps] if isinstance(maps, Tensor) else list(maps)
        chosen = maps if self.layers is None else [maps[index] for index in self.layers]
        return [F.normalize(item[0].float(), dim=0).cpu() for item in chosen]


def build_extractor(config: str | Mapping[str, Any]) -> Extractor:
    """'rgb+lbp', ``dict(type='HandFeatures', ...)``, or the arguments of :class:`BackboneFeatures`.

    Raises:
        ValueError: another name. TypeError: unknown arguments.
    """
    if config == HAND:
        return HandFeatures()
    if isinstance(config, Mapping):
        arguments = dict(config)
        kind = arguments.pop('type', 'BackboneFeatures')
        if kind in ('HandFeatures', 'BackboneFeatures'):
            return HandFeatures(**arguments) if kind == 'HandFeatures' else BackboneFeatures(**arguments)
    raise ValueError(f"extractor must be '{HAND}', dict(type='HandFeatures', window=9), or dict(backbone=dict(type="
                     f"'mmseg.MobileNetV2', ...), mean=..., std=...), but is {config!r}.")  # fmt: skip


def features_at(maps: Sequence[Tensor], row: NDArray[np.int64], column: NDArray[np.int64], size: tuple[int, int]
                ) -> NDArray[np.float32]:  # fmt: skip
    """(n, sum C_k) float32: the maps, as if enlarged to the image by bicubic interpolation, at pixels (n,).

    Args:
        size: (H, W) of the image.
    """
    height, width = size
    x = (torch.from_numpy(column).float() + 0.5) / width * 2 - 1
    y = (torch.from_numpy(row).float() + 0.5) / height * 2 - 1
    place = torch.stack([x, y], 1)[None, None]
    found = []
    for item in maps:
        if tuple(item.shape[1:]) == (height, width):
            found.append(item[:, torch.from_numpy(row), torch.from_numpy(column)].t())
        else:
            found.append(F.grid_sample(item[None], place, 'bicubic', 'border', align_corners=False)[0, :, 0].t())
    return torch.cat(found, 1).numpy()
