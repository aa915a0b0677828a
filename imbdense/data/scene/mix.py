"""The long-tail dial: which pixel share of each class is asked for, and how far a scene is from it.

The ratio is ``max_c p_c / min_c p_c`` over the object classes of the profile that are present in the scene, ``p_c`` =
visible pixels of class c in the clean masks, summed over all images of the scene. Ground and buildings are the
remainder and never enter it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from imbdense.data.scene import classes as c
from imbdense.data.scene.assets.catalogue import SCALED
from imbdense.data.scene.config import SceneConfig, object_class_id, object_scale
from imbdense.data.scene.rng import stream

STPLS3D_SHARES: dict[int, float] = {
    c.LOW_VEG: 0.93, c.MEDIUM_VEG: 1.69, c.HIGH_VEG: 34.5, c.VEHICLE: 2.34, c.TRUCK: 1.89, c.AIRCRAFT: 0.98,
    c.MILITARY: 0.84, c.BIKE: 0.58, c.MOTORCYCLE: 0.56, c.LIGHT_POLE: 0.75, c.STREET_SIGN: 0.65, c.CLUTTER: 3.54,
    c.FENCE: 2.76,
}
"""Published shares (per cent) of the instance classes of STPLS3D, building left out."""
_AREA: dict[int, float] = {
    c.LOW_VEG: 1.2, c.MEDIUM_VEG: 4.5, c.HIGH_VEG: 25.0, c.VEHICLE: 8.0, c.TRUCK: 20.0, c.AIRCRAFT: 60.0,
    c.MILITARY: 11.0, c.BIKE: 0.6, c.MOTORCYCLE: 1.1, c.LIGHT_POLE: 1.4, c.STREET_SIGN: 0.5, c.CLUTTER: 1.8,
    c.FENCE: 2.8,
}
"""First guess of the area in m² one instance shows from above; dry runs replace it by what was seen."""
LARGEST_SHARE = 0.4
"""Object classes are never asked to fill more than this part of all pixels: they would find no room."""


def target_weights(config: SceneConfig) -> dict[int, float]:
    """Return the asked relative pixel weight of each present object class, the smallest of the whole profile = 1.

    ``imbalance_ratio`` R stretches the profile on a log scale:
    ``w_c = R^((log s_c - log s_min) / (log s_max - log s_min))``.
    Aircraft belong to the named profiles only in the 'airfield' density. Absent classes are taken out afterwards, so
    absence does not change the shares of the others.
    """
    shares = _profile_shares(config)
    logs = {class_id: math.log(share) for class_id, share in shares.items()}
    low, high = min(logs.values(), default=0.0), max(logs.values(), default=0.0)
    ratio = config.mix.imbalance_ratio
    stretch = math.log(ratio) / (high - low) if ratio is not None and high > low else 1.0
    absent = absent_classes(config)
    return {class_id: math.exp((value - low) * stretch) for class_id, value in logs.items() if class_id not in absent}


def absent_classes(config: SceneConfig) -> set[int]:
    """Return the object classes left out of this scene: each with ``class_absent_prob``, from its own stream."""
    probability = config.mix.class_absent_prob
    return {number for number in c.OBJECT_CLASSES
            if probability > 0 and float(stream(config.seed, 'absence', number).uniform()) < probability}


def _profile_shares(config: SceneConfig) -> dict[int, float]:
    """Relative shares of the profile, zero shares left out."""
    profile = config.mix.profile
    if isinstance(profile, Mapping):
        return {object_class_id(name): float(share) for name, share in profile.items() if share > 0}
    natural = {number: share for number, share in STPLS3D_SHARES.items()
               if number != c.AIRCRAFT or config.layout.density == 'airfield'}
    if profile == 'stpls3d':
        return natural
    if profile == 'balanced':
        return dict.fromkeys(natural, 1.0)
    ordered = sorted(natural, key=lambda number: -natural[number])
    return {number: 1.0 / rank for rank, number in enumerate(ordered, start=1)}


def first_guess(config: SceneConfig, weights: Mapping[int, float], total_pixels: int) -> dict[int, float]:
    """Return the visible pixels one instance of a class is expected to give, from its area and the images' coverage."""
    per_area = total_pixels / config.size**2
    return {number: _AREA[number] * per_area * (object_scale(config.mix, number)**2 if number in SCALED else 1.0)
            for number in weights}


def choose_anchor(config: SceneConfig, weights: Mapping[int, float], least: Mapping[int, float],
                  most: Mapping[int, float], total_pixels: int) -> float:
    """Return α, the pixels of weight 1: class c is then asked for ``α·w_c`` pixels.

    ``object_share`` of all pixels decides. α is raised where even the ``least`` pixels a class can have (its smallest
    ``min_instances`` instances) would be too many, and lowered where a class cannot have more than ``most``.
    """
    total = sum(weights.values())
    room = min(most[number] / weight for number, weight in weights.items())
    ceiling = min(LARGEST_SHARE * total_pixels / total, room)
    granular = max(least[number] / weight for number, weight in weights.items())
    return min(max(config.mix.object_share * total_pixels / total, granular), ceiling)


def imbalance_ratio(pixels: Mapping[int, float]) -> float | None:
    """Return max/min over the classes with pixels; ``None`` for fewer than two of them."""
    present = [value for value in pixels.values() if value > 0]
    return max(present) / min(present) if len(present) > 1 else None


def asked_ratio(weights: Mapping[int, float]) -> float | None:
    """Return the ratio the weights ask for; ``None`` for fewer than two classes."""
    return max(weights.values()) / min(weights.values()) if len(weights) > 1 else None


def share_errors(weights: Mapping[int, float], pixels: Mapping[int, float]) -> dict[int, float]:
    """Return each class's relative deviation from its asked share among the object classes (-1 = no pixel)."""
    seen, total = sum(pixels.get(number, 0.0) for number in weights), sum(weights.values())
    if seen == 0:
        return dict.fromkeys(weights, -1.0)
    return {number: pixels.get(number, 0.0) / seen * total / weight - 1 for number, weight in weights.items()}


def misfit(weights: Mapping[int, float], pixels: Mapping[int, float]) -> float:
    """Return a score of a dry run, 0 = perfect: log error of the ratio, plus the mean log share error, plus 10 per
    class without pixels."""
    errors = share_errors(weights, pixels)
    missing = sum(1 for value in errors.values() if value <= -1)
    logs = [abs(math.log1p(value)) for value in errors.values() if value > -1]
    reached, wanted = imbalance_ratio({number: pixels.get(number, 0.0) for number in weights}), asked_ratio(weights)
    ratio_error = abs(math.log(reached / wanted)) if reached and wanted else 0.0
    return 2 * ratio_error + (float(np.mean(logs)) if logs else 0.0) + 10 * missing
