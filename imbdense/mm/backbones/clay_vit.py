"""``imbdense.ClayViT``."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from imbdense.mm.mapped_weights import fill_whole, read_weights
from imbdense.nn.backbones.clay import ClayEncoder
from imbdense.registry import MODELS

PREFIX = 'model.encoder.'


@MODELS.register_module()
class ClayViT(ClayEncoder):
    """Clay v1 and v1.5 as a backbone: any bands with a wavelength, and others beside them.

    Needs nothing but torch. The weights are given as a local file (``clay-v1.5.ckpt``, saved as plain tensors); what of
    it is used is logged, and anything that does not fit is an error. Maps have one scale, 1/8; ``Feature2Pyramid`` of
    the host makes several. Normalise with the statistics of your images.

    Args:
        bands: name of each channel in the order of the image: ``red, green, blue, nir, nir08, rededge1, rededge2,
            rededge3, swir16, swir22`` have a wavelength; all others are extra bands that start without influence.
        gsd: size of a pixel in metres.
        dim, depth, heads, dim_head, mlp_ratio, patch_size, out_indices: see
            :class:`imbdense.nn.backbones.clay.ClayEncoder`.
        checkpoint: the file; ``None`` = random weights.

    Raises:
        ValueError: weights that do not fit, unknown bands only.

    Source: Clay Foundation, 2024.
    """

    card = 'geospatial_backbones'
    tasks = ('change_detection', 'segmentation')

    def __init__(
        self,
        bands: Sequence[str] = ('red', 'green', 'blue', 'nir'),
        gsd: float = 10.0,
        dim: int = 1024,
        depth: int = 24,
        heads: int = 16,
        dim_head: int = 64,
        mlp_ratio: float = 4.0,
        patch_size: int = 8,
        out_indices: Sequence[int] = (5, 11, 17, 23),
        checkpoint: str | None = None,
    ) -> None:
        super().__init__(bands, gsd, dim, depth, heads, dim_head, mlp_ratio, patch_size, out_indices)
        self.checkpoint = checkpoint

    def init_weights(self) -> None:
        """Load the file."""
        if self.checkpoint is not None:
            weights = _encoder_only(read_weights(self.checkpoint))
            fill_whole(self, weights, self.checkpoint, may_miss=('extra_patch_embed.',))


def _encoder_only(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """What lies under 'model.encoder.'; decoder and teacher stay behind."""
    return {name.removeprefix(PREFIX): value for name, value in state.items() if name.startswith(PREFIX)}
