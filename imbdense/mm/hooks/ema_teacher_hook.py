"""``imbdense.EMATeacherHook``."""

from __future__ import annotations

from typing import Any, Literal, get_args

from mmengine.hooks import Hook
from mmengine.logging import MMLogger
from torch import nn

from imbdense.core.checks import check_choice, check_integer, check_number
from imbdense.core.optim import freeze_teacher, teacher_momentum, update_teacher
from imbdense.mm.freezing import unwrapped
from imbdense.registry import HOOKS

Buffers = Literal['average', 'copy']


@HOOKS.register_module()
class EMATeacherHook(Hook):
    """Let every ``teacher`` of the model follow the ``student`` beside it as a moving average.

    After iteration t = 0, 1, ... (every ``interval``-th one)::

        teacher <- m * teacher + (1 - m) * student,   m = min(1 - 1 / (t + 1), momentum)

    so the teacher begins as the student and its memory grows to ``1 / (1 - momentum)`` iterations. It serves any model,
    of segmentation or detection, in which a module has both ``student`` and ``teacher`` of one structure (mmdet's
    ``SemiBaseDetector`` too, in the place of its ``MeanTeacherHook``).

    * **Buffers**: running statistics of normalisation layers are averaged like the weights, or copied; integer buffers
      are copied. The host's hook leaves them at their initial values.
    * **Start**: the student is copied into the teacher when training begins at iteration 0, also after ``load_from``. A
      resumed run takes the teacher from the checkpoint and continues bit for bit; t is the iteration of the run.
    * **Frozen**: no gradient and evaluation mode, restored before every iteration since the host calls ``train()``.
    * **Ranks**: every rank updates its own copy from equal weights; nothing is communicated. Running statistics of a
      student without SyncBN differ between ranks, as always; the checkpoint holds those of rank 0.

    Args:
        momentum: m in [0, 1), the limit.
        warm_up: begin with m = 1 - 1 / (t + 1); ``False`` = ``momentum`` from the first iteration.
        interval: iterations between two updates.
        buffers: 'average' or 'copy'.

    Raises:
        ValueError: before training, when no module has a student and a teacher, or the two are built differently.

    Source: Tarvainen and Valpola, NeurIPS 2017; warm-up and averaged buffers as in UniMatch V2, TPAMI 2025.
    """

    card = 'mean_teacher'
    tasks = ('segmentation', 'detection', 'points', 'volumes')
    priority = 'ABOVE_NORMAL'

    def __init__(
        self, momentum: float = 0.996, warm_up: bool = True, interval: int = 1, buffers: Buffers = 'average'
    ) -> None:
        name = type(self).__name__
        self.momentum = check_number('momentum', momentum, low=0.0, high=1.0, owner=name)
        if self.momentum == 1.0:
            raise ValueError(f'{name}: momentum must be below 1; with 1 the teacher would never change.')
        self.warm_up = bool(warm_up)
        self.interval = check_integer('interval', interval, low=1, owner=name)
        self.buffers = check_choice('buffers', buffers, get_args(Buffers), owner=name)
        self._pairs: list[Any] = []

    def before_train(self, runner: Any) -> None:
        """Find the pairs, freeze the teachers, and copy the students when the run is fresh."""
        self._pairs = teacher_pairs(unwrapped(runner.model))
        if not self._pairs:
            raise ValueError(
                f'EMATeacherHook: no module of {type(unwrapped(runner.model)).__name__} has both a student and a '
                f"teacher. imbdense.SemiSegmentor has them with teacher='ema'."
            )
        for module in self._pairs:
            freeze_teacher(module.teacher)
            module.teacher_follows = True
            if runner.iter == 0:
                update_teacher(module.teacher, module.student, 0.0)
        if runner.iter == 0:
            MMLogger.get_current_instance().info(
                f'EMATeacherHook: {len(self._pairs)} teacher(s) begin as their students; momentum {self.momentum}.'
            )

    def before_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None) -> None:
        """Evaluation mode, which the host's ``model.train()`` ended."""
        for module in self._pairs:
            if module.teacher.training:
                module.teacher.eval()

    def after_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        """Move the teachers."""
        if (runner.iter + 1) % self.interval:
            return
        momentum = teacher_momentum(runner.iter, self.momentum) if self.warm_up else self.momentum
        for module in self._pairs:
            update_teacher(module.teacher, module.student, momentum, self.buffers)


def teacher_pairs(model: nn.Module) -> list[Any]:
    """The modules that hold both a ``student`` and a ``teacher``, the outermost first."""
    return [
        module for module in model.modules()
        if isinstance(getattr(module, 'student', None), nn.Module)
        and isinstance(getattr(module, 'teacher', None), nn.Module)
    ]
