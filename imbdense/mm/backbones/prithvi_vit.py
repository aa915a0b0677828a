"""``imbdense.PrithviViT``."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from imbdense.mm.mapped_weights import fill_whole, read_weights
from imbdense.nn.backbones.prithvi import BANDS, PrithviEncoder
from imbdense.registry import MODELS

UNUSED = ('mask_token', 'decoder', 'temporal_embed', 'location_embed')


@MODELS.register_module()
class PrithviViT(PrithviEncoder):
    """Prithvi-EO 1.0 and 2.0 as a backbone for single images, with bands it does not know beside its own.

    Needs nothing but torch. The weights are given as a local file (``Prithvi_EO_V1_100M.pt``,
    ``Prithvi_EO_V2_300M.pt``, ``..._TL.pt``, ``..._600M...``); what of it is used is logged, and anything that does not
    fit is an error. Maps have one scale; ``Feature2Pyramid`` of the host makes several.

    Args:
        bands: name of each channel in the order of the image: of ``blue, green, red, nir_narrow, swir_1, swir_2``, any
            part; all others are extra bands that start without influence.
        dim, depth, num_heads, mlp_ratio, patch_size, out_indices: see
            :class:`imbdense.nn.backbones.prithvi.PrithviEncoder`; 768 / 12 / 12 is the 100 M model, 1280 / 32 / 16 with
            patches of 14 the 600 M one.
        checkpoint: the file; ``None`` = random weights.

    Raises:
        ValueError: weights that do not fit, unknown bands only.

    Source: Szwarcman et al., Prithvi-EO-2.0, 2024.
    """

    card = 'geospatial_backbones'
    tasks = ('change_detection', 'segmentation')

    def __init__(
        self,
        bands: Sequence[str] = BANDS,
        dim: int = 1024,
        depth: int = 24,
        num_heads: int = 16,
        mlp_ratio: float = 4.0,
        patch_size: int = 16,
        out_indices: Sequence[int] = (5, 11, 17, 23),
        checkpoint: str | None = None,
    ) -> None:
        super().__init__(bands, dim, depth, num_heads, mlp_ratio, patch_size, out_indices)
        self.checkpoint = checkpoint

    def init_weights(self) -> None:
        """Load the file."""
        if self.checkpoint is not None:
            weights = _encoder_only(read_weights(self.checkpoint))
            fill_whole(self, weights, self.checkpoint, unused=UNUSED, may_miss=('extra_patch_embed.',))


def _encoder_only(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Names without 'encoder.', the patch embedding without its axis of time, positions (fixed sines) left out."""
    found = {name.removeprefix('encoder.'): value for name, value in state.items()}
    found.pop('pos_embed', None)
    weight = found['patch_embed.proj.weight']
    if weight.ndim == 5 and weight.shape[2] == 1:
        found['patch_embed.proj.weight'] = weight[:, :, 0]
    return found
