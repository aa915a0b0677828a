"""What teacher-student segmentors share: their networks, who predicts, and whose weights a checkpoint holds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mmengine.registry import MODELS as HOST_MODELS
from mmseg.models.segmentors import BaseSegmentor
from torch import Tensor

from imbdense.core.checks import check_choice
from imbdense.core.optim import freeze_teacher, update_teacher

PATIENCE = 3
"""Training steps before an EMA teacher that nobody updates is an error."""


class TeacherStudent(BaseSegmentor):
    """A student, perhaps a teacher that follows it or a peer that learns beside it, all built from one config.

    Args:
        segmentor: config of a segmentor of mmseg, with its data preprocessor.
        teacher: 'ema' (makes ``teacher``, frozen), 'peer' (makes ``peer``) or 'self' (the student alone).
        predict_on: 'teacher' or 'student'; ``None`` = the EMA teacher if there is one.
        data_preprocessor: ``None`` = that of ``segmentor`` in ``imbdense.SemiDataPreProcessor``.
        init_cfg: as in the host.

    Raises:
        ValueError: one logit channel, or ``predict_on`` names a network that is not there.
    """

    def __init__(
        self, segmentor: Mapping[str, Any], teacher: str, predict_on: str | None, data_preprocessor: Any, init_cfg: Any
    ) -> None:
        config = dict(segmentor)
        base = config.pop('data_preprocessor', None)
        super().__init__(
            data_preprocessor=data_preprocessor or {'type': 'imbdense.SemiDataPreProcessor', 'base': base},
            init_cfg=init_cfg,
        )
        name = type(self).__name__
        self.teacher_kind = teacher
        has_teacher = teacher == 'ema'
        self.predict_on = check_choice(
            'predict_on', predict_on or ('teacher' if has_teacher else 'student'),
            ('teacher', 'student') if has_teacher else ('student',), owner=name,
        )
        self.student = HOST_MODELS.build(dict(config))
        self.num_classes = int(self.student.num_classes)
        self.out_channels, self.align_corners = self.student.out_channels, self.student.align_corners
        if self.out_channels != self.num_classes or self.num_classes < 2:
            raise ValueError(
                f'{name}: the head has {self.out_channels} logit channels for {self.num_classes} classes; one '
                f'per class is needed, so out_channels={max(self.num_classes, 2)} with a softmax loss.'
            )
        self.teacher_follows = False  # set by EMATeacherHook
        self._steps = 0
        if has_teacher:
            self.teacher = HOST_MODELS.build(dict(config))
            freeze_teacher(self.teacher)
            update_teacher(self.teacher, self.student, 0.0)
        elif teacher == 'peer':
            self.peer = HOST_MODELS.build(dict(config))

    def init_weights(self) -> None:
        """Initialise student and peer (each draws its own weights); the teacher begins as the student."""
        super().init_weights()
        if self.teacher_kind == 'ema':
            update_teacher(self.teacher, self.student, 0.0)

    def train(self, mode: bool = True) -> TeacherStudent:
        """The EMA teacher stays in evaluation mode."""
        super().train(mode)
        if self.teacher_kind == 'ema':
            self.teacher.eval()
        return self

    def _check_followed(self) -> None:
        """Raise when the EMA teacher stands still."""
        self._steps += 1
        if self.teacher_kind == 'ema' and self._steps >= PATIENCE and not self.teacher_follows:
            raise RuntimeError(
                f"{type(self).__name__}: teacher='ema', but nobody updates the teacher. Add "
                "custom_hooks=[dict(type='imbdense.EMATeacherHook')] to the config."
            )

    @property
    def predictor(self) -> Any:
        """The network that predicts."""
        return self.teacher if self.predict_on == 'teacher' else self.student

    @property
    def decode_head(self) -> Any:
        """The head of ``predict_on``."""
        return self.predictor.decode_head

    def predict(self, inputs: Tensor, data_samples: Any = None) -> Any:
        """The predictions of ``predict_on``, as the host gives them."""
        return self.predictor.predict(inputs, data_samples)

    def _forward(self, inputs: Tensor, data_samples: Any = None) -> Any:
        """The raw output of ``predict_on``."""
        return self.predictor._forward(inputs, data_samples)

    def extract_feat(self, inputs: Tensor) -> Any:
        """The features of ``predict_on``."""
        return self.predictor.extract_feat(inputs)

    def encode_decode(self, inputs: Tensor, batch_img_metas: list[dict[str, Any]]) -> Tensor:
        """The logits of ``predict_on``."""
        return self.predictor.encode_decode(inputs, batch_img_metas)

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *arguments: Any) -> None:
        """Give the weights of a bare segmentor to every network."""
        networks = [name for name in ('student', 'teacher', 'peer') if hasattr(self, name)]
        own = [key for key in state_dict if key.startswith(prefix)]
        if own and not any(key.startswith(f'{prefix}{name}.') for key in own for name in networks):
            bare = {key[len(prefix):]: state_dict.pop(key) for key in own}
            for name in networks:
                state_dict.update({f'{prefix}{name}.{key}': value for key, value in bare.items()})
        super()._load_from_state_dict(state_dict, prefix, *arguments)
