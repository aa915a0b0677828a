"""What a post-hoc method does to the logits of a finished model: one value object with a JSON form."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from imbdense.core.checks import check_number
from imbdense.core.reduction import full_precision


@dataclass(frozen=True)
class LogitCalibration:
    """A map of logits to logits, element by element and increasing in each class.

    ::

        softmax heads   z_c <- z_c / temperature + shift_c          background <- z_C / temperature
        sigmoid heads   z_c <- z_c / temperature + shift_c
                        then, with product_shift u, the logit of sigmoid(z_c) * sigmoid(z_c + u_c)

    Afterwards the host goes on as always (activation, score threshold, suppression). All methods of this package have
    this form: a division of softmax probabilities followed by normalising the rows is a shift by its logarithm.

    Attributes:
        method: name of the method, for messages and the file.
        shift: (C,) added to the class logits; the background gets nothing.
        temperature: > 0.
        product_shift: (C,) of the sigmoid form of FRACAL, else ``None``.
        thresholds: (C,) least score of a detection of each class, applied to the finished detections, else ``None``.
        parameters: what was fitted (gamma, tau, ...), for the reader of the file.
    """

    method: str
    shift: tuple[float, ...]
    temperature: float = 1.0
    product_shift: tuple[float, ...] | None = None
    thresholds: tuple[float, ...] | None = None
    parameters: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_number('temperature', self.temperature, low=0.0, low_open=True, owner='LogitCalibration')
        for name in ('shift', 'product_shift', 'thresholds'):
            values = getattr(self, name)
            if values is None:
                continue
            tensor = torch.as_tensor(values, dtype=torch.float64)
            if tensor.ndim != 1 or tensor.numel() != len(self.shift) or not bool(torch.isfinite(tensor).all()):
                raise ValueError(
                    f'LogitCalibration.{name} must hold one finite number per class ({len(self.shift)}), but is '
                    f'{list(values)}.'
                )
            object.__setattr__(self, name, tuple(tensor.tolist()))

    @property
    def num_classes(self) -> int:
        """C."""
        return len(self.shift)

    @property
    def moves_logits(self) -> bool:
        """Whether it changes any logit; thresholds of detections do not."""
        return self.temperature != 1.0 or any(self.shift) or self.product_shift is not None

    def apply(self, logits: Tensor, *, dim: int = -1, use_sigmoid: bool = False) -> Tensor:
        """Return the calibrated logits, same shape; float64 stays, other dtypes are computed and returned as float32.

        Args:
            logits: class dimension ``dim`` of size C, C + 1 (background last, softmax only), 1 (a binary sigmoid
                head; C = 2), or a multiple of these, anchor by anchor (the maps of dense heads).
            use_sigmoid: whether the head has one sigmoid per class; tells C from C + 1 in dense maps.

        Raises:
            ValueError: the number of channels does not fit C.
        """
        values = full_precision(logits)
        shift = self._tiled(self.shift, values, dim, use_sigmoid)
        values = values / self.temperature + shift
        if self.product_shift is None:
            return values
        if not use_sigmoid:
            raise ValueError(f'{self.method}: product_shift belongs to sigmoid heads, but this head has a softmax.')
        other = values + self._tiled(self.product_shift, values, dim, use_sigmoid)
        log_score = nn.functional.logsigmoid(values) + nn.functional.logsigmoid(other)
        return log_score - torch.log(-torch.expm1(log_score.clamp_max(-1e-12)))

    def _tiled(self, vector: tuple[float, ...], values: Tensor, dim: int, use_sigmoid: bool) -> Tensor:
        """``vector`` as a tensor that broadcasts against ``values``."""
        channels, classes = values.shape[dim], len(vector)
        one = torch.as_tensor(vector, dtype=values.dtype, device=values.device)
        if channels == 1 and classes == 2:
            full = one[1:] - one[:1]
        elif channels % classes == 0 and (use_sigmoid or channels == classes):
            full = one.repeat(channels // classes)
        elif channels % (classes + 1) == 0 and not use_sigmoid:
            full = torch.cat([one, one.new_zeros(1)]).repeat(channels // (classes + 1))
        else:
            raise ValueError(
                f'{self.method}: the calibration is for {classes} classes, which does not fit logits of {channels} '
                f'channels ({"sigmoid" if use_sigmoid else "softmax, with or without a background channel"}). Was it '
                f'fitted on another model, or counted with another class list?'
            )
        shape = [1] * values.ndim
        shape[dim] = channels
        return full.view(shape)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for ``calibration.json``."""
        return {
            'method': self.method,
            'parameters': dict(self.parameters),
            'shift': list(self.shift),
            'temperature': self.temperature,
            'product_shift': None if self.product_shift is None else list(self.product_shift),
            'thresholds': None if self.thresholds is None else list(self.thresholds),
        }

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> LogitCalibration:
        """Rebuild from :meth:`to_dict`; missing and unknown keys are named."""
        known = set(cls.__dataclass_fields__)
        if not known.issuperset(record) or 'shift' not in record or 'method' not in record:
            raise ValueError(
                f'a calibration must have the keys {sorted(known)}, but has {sorted(record)}. Write it with '
                f'`imbdense calibrate`.'
            )
        return cls(**record)


def identity_calibration(num_classes: int) -> LogitCalibration:
    """The calibration that changes nothing."""
    return LogitCalibration('none', (0.0,) * num_classes)
