"""Range checks of a scene configuration; messages name the field, the allowed range and what came."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from imbdense.data.scene.config import SceneConfig

_RANGES: dict[str, tuple[float, float]] = {
    'size': (20, 2000), 'terrain.cell': (0.25, 10), 'terrain.dirt_share': (0, 1), 'terrain.unlabelled_ground': (0, 1),
    'layout.min_lot_area': (50, 1e5), 'layout.building_share': (0, 1), 'mix.object_share': (0.001, 0.6),
    'mix.class_absent_prob': (0, 1), 'mix.occlusion': (0, 1), 'mix.tolerance': (0.01, 1),
    'flight.agl': (10, 1000), 'flight.overlap_forward': (0, 0.95), 'flight.overlap_side': (0, 0.95),
    'flight.fov_x': (5, 120), 'flight.gps_sigma': (0, 10), 'flight.attitude_sigma': (0, 10),
    'render.ambient': (0, 1), 'render.shot_noise': (0, 1), 'render.read_noise': (0, 1), 'render.vignette': (0, 1),
    'render.texture': (0, 0.5), 'render.haze_distance': (10, 1e9), 'label_noise.fraction': (0, 1),
    'label_noise.mislabel': (0, 1e6), 'label_noise.drop': (0, 1e6), 'label_noise.erode': (0, 1e6),
}
_OPTIONAL_RANGES: dict[str, tuple[float, float]] = {
    'terrain.relief': (0, 15), 'terrain.hurst': (0.3, 1.5), 'layout.rotation': (-180, 180),
    'mix.imbalance_ratio': (1, 1e5), 'render.sun_azimuth': (0, 360), 'render.sun_elevation': (5, 90),
    'output.ortho_gsd': (0.01, 10),
}
_INTEGERS: dict[str, tuple[int, int]] = {
    'seed': (0, 2**63 - 1), 'mix.min_instances': (0, 10000), 'mix.correction_rounds': (0, 20),
    'flight.width': (16, 16384), 'flight.height': (16, 16384), 'render.supersample': (1, 2),
    'label_noise.erode_pixels': (1, 50),
}
_PAIRS: dict[str, tuple[float, float]] = {
    'layout.street_spacing': (20, 1000), 'layout.street_width': (3, 40), 'render.exposure': (0.1, 10),
}


def validate_config(config: SceneConfig) -> None:
    """Check every field of ``config``.

    Raises:
        TypeError: a value of the wrong kind.
        ValueError: a value outside its range, an unknown name, or a combination that cannot be met.
        FileNotFoundError: ``layout.geojson`` or ``terrain.dsm`` does not exist.
    """
    from imbdense.core.checks import check_choice, check_integer, check_number
    from imbdense.data.scene.config import DENSITIES, FLIGHT_SETS

    for field in dataclasses.fields(config):
        if dataclasses.is_dataclass(field.default_factory) and not isinstance(getattr(config, field.name),
                                                                              field.default_factory):
            raise TypeError(f'SceneConfig: {field.name} must be a {field.default_factory.__name__}, but got '
                            f'{getattr(config, field.name)!r}.')
    for name, (low, high) in _RANGES.items():
        check_number(name, _get(config, name), low=low, high=high, owner='SceneConfig')
    for name, (low, high) in _OPTIONAL_RANGES.items():
        value = _get(config, name)
        if value is not None:
            check_number(name, value, low=low, high=high, owner='SceneConfig')
    for name, (first, last) in _INTEGERS.items():
        check_integer(name, _get(config, name), low=first, high=last, owner='SceneConfig')
    for name, (low, high) in _PAIRS.items():
        _check_pair(name, _get(config, name), low, high)
    check_choice('layout.density', config.layout.density, DENSITIES, owner='SceneConfig')
    check_choice('flight.pattern', config.flight.pattern, FLIGHT_SETS, owner='SceneConfig')
    _check_tuple('flight.distortion', config.flight.distortion, 4)
    _check_tuple('output.origin', config.output.origin, 2)
    for name in ('layout.geojson', 'terrain.dsm'):
        path = _get(config, name)
        if path is not None and not Path(path).is_file():
            raise FileNotFoundError(f'SceneConfig: {name} names the file {path}, which does not exist.')
    _check_mix(config)


def _get(config: Any, dotted: str) -> Any:
    """Value of a dotted field name."""
    for part in dotted.split('.'):
        config = getattr(config, part)
    return config


def _check_tuple(name: str, value: Any, length: int) -> None:
    """A sequence of ``length`` finite numbers."""
    from imbdense.core.checks import check_number

    if not isinstance(value, (tuple, list)) or len(value) != length:
        raise ValueError(f'SceneConfig: {name} must hold {length} numbers, but got {value!r}.')
    for number in value:
        check_number(name, number, owner='SceneConfig')


def _check_pair(name: str, value: Any, low: float, high: float) -> None:
    """An increasing pair inside a range."""
    from imbdense.core.checks import check_number

    _check_tuple(name, value, 2)
    first = check_number(name, value[0], low=low, high=high, owner='SceneConfig')
    if check_number(name, value[1], low=low, high=high, owner='SceneConfig') < first:
        raise ValueError(f'SceneConfig: {name} must be (smallest, largest), but got {value!r}.')


def _check_mix(config: SceneConfig) -> None:
    """Profile names and combinations of the dial that contradict each other."""
    from imbdense.core.checks import check_choice, check_number
    from imbdense.data.scene.config import PROFILES, object_class_id

    profile, ratio, scale = config.mix.profile, config.mix.imbalance_ratio, config.mix.object_scale
    for name, factor in scale.items() if isinstance(scale, Mapping) else [(None, scale)]:
        if name is not None:
            object_class_id(name, 'mix.object_scale')
        check_number('mix.object_scale', factor, low=0.25, high=4, owner='SceneConfig')
    if isinstance(profile, Mapping):
        shares = {object_class_id(name): check_number(f'mix.profile[{name!r}]', share, low=0, owner='SceneConfig')
                  for name, share in profile.items()}
        flat = len({share for share in shares.values() if share > 0}) < 2
    else:
        check_choice('mix.profile', profile, PROFILES, owner='SceneConfig')
        flat = profile == 'balanced'
    if flat and ratio is not None and ratio != 1:
        raise ValueError(
            f'SceneConfig: mix.imbalance_ratio={ratio} cannot be reached with a profile whose shares are all equal; '
            f"choose profile 'stpls3d' or 'zipf', or leave imbalance_ratio out."
        )
    if not flat and ratio == 1:
        raise ValueError("SceneConfig: mix.imbalance_ratio=1 means equal shares: choose mix.profile='balanced'.")
    noise = config.label_noise
    if noise.fraction > 0 and noise.mislabel + noise.drop + noise.erode <= 0:
        raise ValueError('SceneConfig: label_noise.fraction > 0 needs one of mislabel, drop, erode above 0.')
