from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from imbdense.data.scene import classes as c
from imbdense.data.scene.config import SceneConfig
from imbdense.data.scene.label_noise import Fault, apply_faults, draw_faults

KINDS = ('vehicle', 'bike', 'high_vegetation')
INSTANCES: list[dict[str, Any]] = [{'id': 1, 'class': 'building', 'position': [0.0, 0.0, 0.0]}] + [
    {'id': k, 'class': KINDS[k % 3], 'position': [k * 1.5, k * 0.7, 0.0]} for k in range(2, 902)]


def config(**noise: object) -> SceneConfig:
    return SceneConfig().changed(label_noise=noise)


@pytest.mark.parametrize('fraction', [0.0, 0.1, 0.5, 1.0])
def test_fraction_of_faulty_instances(fraction: float) -> None:
    faults = draw_faults(config(fraction=fraction), INSTANCES)
    assert len(faults) / 900 == pytest.approx(fraction, abs=0.05) and 1 not in faults


def test_more_noise_keeps_the_earlier_faults() -> None:
    few, many = (draw_faults(config(fraction=f), INSTANCES) for f in (0.1, 0.4))
    assert few.items() <= many.items()


def test_kinds_follow_their_weights_and_wrong_classes_are_wrong() -> None:
    faults = draw_faults(config(fraction=1.0, mislabel=2.0, drop=1.0, erode=0.0), INSTANCES)
    kinds = [fault.kind for fault in faults.values()]
    assert kinds.count('mislabel') / len(kinds) == pytest.approx(2 / 3, abs=0.05) and 'erode' not in kinds
    for number, fault in faults.items():
        own = c.CLASS_IDS[INSTANCES[number - 1]['class']]
        assert (fault.class_id != own) == (fault.kind == 'mislabel')


def example() -> tuple[np.ndarray, np.ndarray]:
    semantic = np.full((20, 30), c.GRASS, np.uint8)
    semantic[:, 15:] = c.ROAD
    instance = np.zeros((20, 30), np.uint16)
    semantic[5:11, 3:11], instance[5:11, 3:11] = c.VEHICLE, 7
    semantic[5:11, 18:26], instance[5:11, 18:26] = c.TRUCK, 9
    return semantic, instance


def test_mislabel_drop_and_erode_hand_example() -> None:
    semantic, instance = example()
    noisy, ids = apply_faults(semantic, instance, {7: Fault('mislabel', c.BIKE), 9: Fault('drop', c.TRUCK)}, 2)
    assert (noisy[5:11, 3:11] == c.BIKE).all() and (ids[5:11, 3:11] == 7).all()
    assert (noisy[5:11, 18:26] == c.ROAD).all() and (ids[5:11, 18:26] == 0).all()
    noisy, ids = apply_faults(semantic, instance, {7: Fault('erode', c.VEHICLE)}, 2)
    assert (ids == 7).sum() == 2 * 4 and (noisy[ids == 7] == c.VEHICLE).all() and (noisy == c.VEHICLE).sum() == 8
    assert (noisy[:, 15:] == semantic[:, 15:]).all()
    clean, untouched = example()
    assert np.array_equal(semantic, clean) and np.array_equal(instance, untouched)


def test_window_without_background_falls_back_to_ground() -> None:
    semantic, instance = np.full((4, 4), c.VEHICLE, np.uint8), np.full((4, 4), 3, np.uint16)
    noisy, ids = apply_faults(semantic, instance, {3: Fault('drop', c.VEHICLE)}, 1)
    assert (noisy == c.GROUND).all() and (ids == 0).all()


def test_no_instance_in_the_image() -> None:
    semantic, instance = np.zeros((4, 4), np.uint8), np.zeros((4, 4), np.uint16)
    noisy, ids = apply_faults(semantic, instance, {3: Fault('drop', c.VEHICLE)}, 1)
    assert np.array_equal(noisy, semantic) and np.array_equal(ids, instance)
