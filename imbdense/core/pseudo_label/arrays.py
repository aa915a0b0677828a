"""Arrays of either library at the door of the room."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, bfloat16


def to_numpy(values: Any) -> NDArray[Any]:
    """Return a numpy array of a tensor on any device, an array, or nested sequences; bfloat16 becomes float32."""
    if not isinstance(values, Tensor):
        return np.asarray(values)
    tensor = values.detach().cpu()
    return (tensor.float() if tensor.dtype == bfloat16 else tensor).numpy()
