"""``imbdense.ConvAutoEncoder``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import torch
from mmengine.model import BaseModel
from mmengine.registry import MODELS as HOST_MODELS
from mmengine.structures import PixelData
from torch import Tensor

from imbdense.core.reduction import full_precision
from imbdense.nn.conv_autoencoder import ConvDecoder, ConvEncoder, reflect_to_multiple
from imbdense.registry import MODELS

Mode = Literal['tensor', 'loss', 'predict']


@MODELS.register_module()
class ConvAutoEncoder(BaseModel):
    """Convolutional autoencoder that learns features of tiles from unlabelled images.

    Encoder: 3 x 3 convolutions, the first with stride 1, the others with stride 2, each with batch norm and LeakyReLU
    0.01. The decoder mirrors it and ends with a sigmoid. ``loss_recon = loss(decoder(encoder(x)), x)``. With the
    default widths 3 931 392 parameters in the encoder and 7 861 251 in all. Any height and width: images are continued
    by reflection to multiples of 32 and the reconstruction is cut back.

    Inputs are images in [0, 1]: set ``mean=[0.0] * C, std=[255.0] * C`` in the data preprocessor. The sigmoid can not
    reach values outside, so the first training batch is checked.

    The encoder is called ``backbone``, as in the models of the hosts, so whatever taps features there finds it.

    Training: an image folder without labels (``imbdense.UnlabeledSegDataset``); one term, ``loss_recon``. State:
    weights and running statistics of BatchNorm. Under autocast the loss is float32; ranks, mixed precision and resume
    as for any model.

    Args:
        in_channels: bands of the images.
        widths: channels of the convolutions; the last is the length of the feature.
        use_sigmoid: end the decoder with a sigmoid; ``False`` for images of another range.
        loss: config of a loss with ``forward(pred, target)``; ``None`` = ``imbdense.SSIMLoss``.
        data_preprocessor: config, as in the host.
        init_cfg: as in the host.

    Raises:
        ValueError: a training image outside [0, 1] with ``use_sigmoid``, or an unknown mode.
    """

    card = 'deepcluster_pp'
    tasks = ('features',)

    def __init__(
        self,
        in_channels: int = 3,
        widths: Sequence[int] = (32, 64, 128, 256, 512, 512),
        use_sigmoid: bool = True,
        loss: Mapping[str, Any] | None = None,
        data_preprocessor: Mapping[str, Any] | None = None,
        init_cfg: Any = None,
    ) -> None:
        super().__init__(data_preprocessor=dict(data_preprocessor) if data_preprocessor else None, init_cfg=init_cfg)
        self.backbone = ConvEncoder(in_channels, widths)
        self.decoder = ConvDecoder(in_channels, widths, use_sigmoid)
        self.reconstruction_loss = HOST_MODELS.build(dict(loss or {'type': 'imbdense.SSIMLoss'}))
        self.use_sigmoid = use_sigmoid
        self._range_checked = False

    def forward(self, inputs: Tensor, data_samples: Any = None, mode: Mode = 'tensor') -> Any:
        """Reconstruction ('tensor'), ``{'loss_recon': ...}`` ('loss') or the data samples, each with its
        ``reconstruction`` ('predict'), of (N, C, H, W) images."""
        if mode == 'loss':
            self._check_range(inputs)
            return {'loss_recon': self.reconstruction_loss(self.reconstruct(inputs), inputs)}
        if mode == 'predict':
            for sample, image in zip(data_samples, self.reconstruct(inputs)):
                sample.set_data({'reconstruction': PixelData(data=image)})
            return data_samples
        if mode == 'tensor':
            return self.reconstruct(inputs)
        raise ValueError(f"ConvAutoEncoder: mode must be 'tensor', 'loss' or 'predict', but got {mode!r}.")

    def reconstruct(self, inputs: Tensor) -> Tensor:
        """decoder(encoder(x)), of the shape of x."""
        (latent,) = self.extract_feat(inputs)
        return self.decoder(latent)[..., : inputs.shape[2], : inputs.shape[3]]

    def extract_feat(self, inputs: Tensor) -> tuple[Tensor]:
        """The last map of the encoder, (N, widths[-1], ceil(H / 32), ceil(W / 32)), as backbones of the hosts give
        theirs."""
        return (self.backbone(reflect_to_multiple(inputs, self.backbone.stride)),)

    def extract(self, inputs: Tensor) -> Tensor:
        """The feature of each image, (N, widths[-1]) float32: the mean over the last map (of the continued image)."""
        (latent,) = self.extract_feat(inputs)
        return full_precision(latent).mean((2, 3))

    def _check_range(self, inputs: Tensor) -> None:
        """Look at one batch: later ones come from the same preprocessor, and reading values makes a GPU wait."""
        if self._range_checked or not self.use_sigmoid or not inputs.numel():
            return
        low, high = (float(value) for value in torch.aminmax(inputs.detach()))
        if low < 0 or high > 1:
            raise ValueError(
                f'ConvAutoEncoder: the images must lie in [0, 1], but lie in [{low:g}, {high:g}]; the sigmoid of the '
                f'decoder can not reach that. Set mean=[0.0] * C and std=[255.0] * C in the data preprocessor (for '
                f'8-bit images), or use_sigmoid=False.'
            )
        self._range_checked = True
