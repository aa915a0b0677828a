"""Annotation faults: a fraction of the instances mislabelled, dropped or eroded in the written masks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imbdense.data.scene import classes as c
from imbdense.data.scene.config import SceneConfig
from imbdense.data.scene.rng import stream


@dataclass(frozen=True)
class Fault:
    """One faulty instance: ``kind`` 'mislabel' (with the wrong ``class_id``), 'drop' or 'erode'."""

    kind: str
    class_id: int


def draw_faults(config: SceneConfig, instances: Sequence[dict[str, Any]]) -> dict[int, Fault]:
    """Return instance id → fault for the object instances (buildings keep their labels).

    Each instance has its own stream addressed by class and running number, so a larger ``fraction`` keeps the faults of
    a smaller one and adds to them. A wrong class is drawn from the object classes that occur in the scene.
    """
    noise = config.label_noise
    if noise.fraction == 0:
        return {}
    present = sorted({c.CLASS_IDS[item['class']] for item in instances} & set(c.OBJECT_CLASSES))
    weights = np.array([noise.mislabel, noise.drop, noise.erode], float)
    faults: dict[int, Fault] = {}
    for item in instances:
        class_id = c.CLASS_IDS[item['class']]
        if class_id not in c.OBJECT_CLASSES:
            continue
        rng = stream(config.seed, 'label_noise', class_id, round(1000 * item['position'][0]),
                     round(1000 * item['position'][1]))
        if float(rng.uniform()) >= noise.fraction:
            continue
        kind = str(rng.choice(['mislabel', 'drop', 'erode'], p=weights / weights.sum()))
        others = [number for number in present if number != class_id]
        wrong = int(rng.choice(others)) if others else class_id
        faults[int(item['id'])] = Fault(kind, wrong if kind == 'mislabel' else class_id)
    return faults


def apply_faults(semantic: NDArray[np.uint8], instance: NDArray[np.uint16], faults: dict[int, Fault], erode_pixels: int
                 ) -> tuple[NDArray[np.uint8], NDArray[np.uint16]]:
    """Return faulty copies of ``semantic`` and ``instance`` (H, W).

    Dropped instances and the rim of eroded ones take the class of the nearest pixel that belongs to no instance (class
    0 when the window holds none); mislabelled ones keep their instance id.
    """
    from scipy.ndimage import binary_erosion, find_objects

    semantic, instance = semantic.copy(), instance.copy()
    clean_instance = instance.copy()
    windows = find_objects(clean_instance.astype(np.int32))
    for number, window in enumerate(windows, start=1):
        fault = faults.get(number)
        if window is None or fault is None:
            continue
        grown = tuple(slice(max(part.start - 6, 0), part.stop + 6) for part in window)
        mask = clean_instance[grown] == number
        if fault.kind == 'mislabel':
            semantic[grown][mask] = fault.class_id
            continue
        if fault.kind == 'erode':
            mask &= ~binary_erosion(mask, iterations=erode_pixels, border_value=1)
        semantic[grown][mask] = _background(semantic[grown], clean_instance[grown])[mask]
        instance[grown][mask] = 0
    return semantic, instance


def _background(semantic: NDArray[np.uint8], instance: NDArray[np.uint16]) -> NDArray[np.uint8]:
    """Class of the nearest pixel without an instance."""
    from scipy.ndimage import distance_transform_edt

    free = (instance == 0) & (semantic != c.VOID)
    if not free.any():
        return np.full_like(semantic, c.GROUND)
    rows, columns = distance_transform_edt(~free, return_distances=False, return_indices=True)
    return semantic[rows, columns]
