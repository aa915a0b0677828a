"""``imbdense.ChangeViTBackbone``."""

from __future__ import annotations

from torch import Tensor, nn

from imbdense.mm.backbones.vit_weights import vit_state
from imbdense.mm.mapped_weights import fill_whole, read_weights
from imbdense.nn.backbones.detail_capture import DetailCapture
from imbdense.nn.backbones.vit import PlainViT
from imbdense.registry import MODELS


@MODELS.register_module()
class ChangeViTBackbone(nn.Module):
    """A plain vision transformer and beside it a ResNet-18 without max-pooling that captures detail.

    With ``imbdense.FeatureInjectorNeck``, ``fusion='conc+diff'`` and ``imbdense.ChangeViTHead`` in
    ``imbdense.SiameseSegmentor`` this is ChangeViT: 11.7 M parameters with ``dim=192`` (tiny), 32.1 M with 384 (small).

    Args:
        in_channels: bands of one date.
        dim, depth, num_heads, image_size: of the transformer; patches of 16 pixels.
        vit_checkpoint: file with DeiT-T (``dim=192``) or DINOv2-S (384) weights in timm's names. Positions are resized,
            layer scales multiplied into the layers before them; a patch embedding of another shape (DINOv2: 14
            pixels; other bands) starts anew. ``None`` = random.
        detail_checkpoint: file of torchvision's ResNet-18. ``None`` = random.

    forward: (N, C, H, W) to 64 channels at 1/2, 128 at 1/4, 256 at 1/8 and ``dim`` at 1/16.

    Raises:
        ValueError: weights in a file that fit nothing here, or the other way round; see
            :func:`imbdense.mm.mapped_weights.fill_whole`.

    Source: Zhu et al., ChangeViT, 2024.
    """

    card = 'change_vit'
    tasks = ('change_detection',)

    def __init__(
        self,
        in_channels: int = 3,
        dim: int = 192,
        depth: int = 12,
        num_heads: int = 6,
        image_size: int = 256,
        vit_checkpoint: str | None = None,
        detail_checkpoint: str | None = None,
    ) -> None:
        super().__init__()
        self.vit = PlainViT(in_channels, dim, depth, num_heads, image_size=image_size)
        self.detail = DetailCapture(in_channels)
        self.vit_checkpoint, self.detail_checkpoint = vit_checkpoint, detail_checkpoint

    def init_weights(self) -> None:
        """Load what the files hold; what is random was drawn in the constructor."""
        if self.vit_checkpoint is not None:
            fill_whole(
                self.vit, vit_state(read_weights(self.vit_checkpoint), self.vit), self.vit_checkpoint,
                unused=('cls_token', 'mask_token', 'head.', 'head_dist.', 'dist_token'), may_miss=('patch_embed.',),
            )
        if self.detail_checkpoint is not None:
            fill_whole(
                self.detail, _fitting_stem(read_weights(self.detail_checkpoint), self.detail), self.detail_checkpoint,
                unused=('layer4.', 'fc.'), may_miss=('conv1.',),
            )

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Detail at three scales, then the transformer's map."""
        return *self.detail(x), self.vit(x)


def _fitting_stem(state: dict[str, Tensor], detail: DetailCapture) -> dict[str, Tensor]:
    """Without the first convolution where the bands differ."""
    fits = state['conv1.weight'].shape == detail.conv1.weight.shape
    return state if fits else {name: value for name, value in state.items() if name != 'conv1.weight'}
