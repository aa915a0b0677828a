"""Encoder of the fully convolutional change detectors FC-EF, FC-Siam-conc and FC-Siam-diff.

Source: Daudt, Le Saux, Boulch, Fully convolutional siamese networks for change detection, ICIP 2018.
"""

from __future__ import annotations

from torch import Tensor, nn

WIDTHS = (16, 32, 64, 128)
CONVOLUTIONS = (2, 2, 3, 3)
DROPOUT = 0.2


def fc_block(convolution: type[nn.Module], in_channels: int, out_channels: int) -> nn.Sequential:
    """3 x 3 convolution, batch norm, ReLU and dropout of whole channels: the one building block of these networks."""
    return nn.Sequential(
        convolution(in_channels, out_channels, 3, padding=1), nn.BatchNorm2d(out_channels), nn.ReLU(inplace=True),
        nn.Dropout2d(DROPOUT),
    )


class FCEncoder(nn.Module):
    """Four stages of 16, 32, 64 and 128 channels with 2, 2, 3 and 3 convolutions, each halved by max-pooling.

    Args:
        in_channels: bands of the input: those of one date, or of all dates for FC-EF.

    forward: (N, in_channels, H, W), H and W >= 16, to five maps: 16 channels at the full size, 32 at 1/2, 64 at 1/4,
    128 at 1/8, and the last one pooled, 128 at 1/16 (sizes rounded down).
    """

    def __init__(self, in_channels: int = 3) -> None:
        super().__init__()
        stages = []
        for width, depth in zip(WIDTHS, CONVOLUTIONS):
            blocks = [fc_block(nn.Conv2d, in_channels if i == 0 else width, width) for i in range(depth)]
            stages.append(nn.Sequential(*blocks))
            in_channels = width
        self.stages = nn.ModuleList(stages)
        self.pool = nn.MaxPool2d(2)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Features of all scales, finest first."""
        found = []
        for stage in self.stages:
            found.append(stage(x))
            x = self.pool(found[-1])
        return *found, x
