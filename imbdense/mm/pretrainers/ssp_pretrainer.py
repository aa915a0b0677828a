"""``imbdense.SSPPretrainer``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mmengine.model import BaseModel
from mmengine.registry import MODELS as HOST_MODELS
from torch import Tensor

from imbdense.core.checks import check_choice
from imbdense.mm.pretrainers.tasks import SHORT
from imbdense.mm.views import VIEW
from imbdense.nn.self_supervised import PretextTask
from imbdense.registry import MODELS

OWNER = 'SSPPretrainer'


@MODELS.register_module()
class SSPPretrainer(BaseModel):
    """Pre-train any backbone of mmseg or mmdet on images without labels (self-supervised pre-training, SSP).

    The terms are those of ``task``; the batch comes from ``imbdense.TwoCropViews``, or, for tasks of one view, from an
    ordinary pipeline. Nothing looks at a label.

    In its checkpoints every tensor of the backbone is called ``backbone.*``, so the model that is trained afterwards
    takes it with ``backbone=dict(init_cfg=dict(type='Pretrained', checkpoint=..., prefix='backbone.'))``;
    ``imbdense.SSPLoadHook`` sees to it that it does. What else the task has is called ``task.*``.

    A part of the backbone that lies behind the map ``in_index`` learns nothing, so take the last map for a U-Net; with
    several ranks such a part needs ``find_unused_parameters=True``. There is nothing to validate: leave ``val_cfg``
    out; ``stat_embedding_spread`` near 0 tells of a collapse.

    Args:
        backbone: config of the backbone, as in the model that is trained afterwards.
        in_channels: channels of the feature map that the task looks at.
        in_index: which map of the backbone that is; -1 = the last.
        task: 'simsiam', 'mocov2', 'densecl', 'rotation', 'jigsaw4', or the config of a task
            (``dict(type='imbdense.MoCoTask', queue_size=4096)``).
        data_preprocessor: config of the preprocessor of the host, as in the model that is trained afterwards.
        init_cfg: as in the host.

    Raises:
        ValueError: unknown task; while training: too few views or images, or another feature map than announced.

    Source: Yang and Xu, Rethinking the Value of Labels for Improving Class-Imbalanced Learning, NeurIPS 2020.
    """

    card = 'self_supervised_pretraining'
    tasks = ('segmentation', 'detection')

    def __init__(
        self,
        backbone: Mapping[str, Any],
        in_channels: int,
        in_index: int = -1,
        task: str | Mapping[str, Any] = 'simsiam',
        data_preprocessor: Mapping[str, Any] | None = None,
        init_cfg: Mapping[str, Any] | None = None,
    ) -> None:
        base = dict(data_preprocessor or {'type': 'ImgDataPreprocessor'})
        super().__init__({'type': 'imbdense.ViewsDataPreProcessor', 'base': base}, init_cfg)
        self.backbone = HOST_MODELS.build(dict(backbone))
        if isinstance(task, str):
            task = {'type': f'imbdense.{SHORT[check_choice("task", task, SHORT, owner=OWNER)].__name__}'}
        self.task: PretextTask = MODELS.build({**task, 'in_channels': in_channels, 'in_index': in_index})
        self.task.attach(self.backbone)

    def init_weights(self) -> None:
        """Initialise the backbone, then what the task copies from it."""
        super().init_weights()
        self.task.start(self.backbone)

    def forward(
        self, inputs: Mapping[str, Tensor], data_samples: Any = None, mode: str = 'tensor'
    ) -> dict[str, Tensor] | Any:
        """The terms of the task ('loss'), or the feature maps of the first view ('tensor').

        Args:
            inputs: ``view_1``, ``view_2``, ...: (N, 3, H, W), preprocessed.
            data_samples: not looked at.
            mode: 'loss' or 'tensor'; there is no prediction.

        Raises:
            ValueError: another mode, or fewer views than the task needs.
        """
        check_choice('mode', mode, ('loss', 'tensor'), owner=OWNER)
        views = [inputs[key] for key in sorted(inputs) if key.startswith(VIEW)]
        needed = self.task.num_views if mode == 'loss' else 1
        if len(views) < needed:
            raise ValueError(
                f'{OWNER}: {type(self.task).__name__} needs {needed} views of each image, the batch has {len(views)}. '
                f'End the pipeline with imbdense.TwoCropViews.'
            )
        return self.task(self.backbone, views) if mode == 'loss' else self.backbone(views[0])
