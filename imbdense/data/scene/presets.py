"""Named configurations: ``tiny`` (unit tests), ``demo`` (the embedded default data set), ``small``, ``standard``,
``large``, ``airfield``."""

from __future__ import annotations

from dataclasses import dataclass

from imbdense.data.scene.config import (
    FlightConfig,
    LayoutConfig,
    MixConfig,
    OutputConfig,
    RenderConfig,
    SceneConfig,
    TerrainConfig,
)

_DEMO_PROFILE = {'high_vegetation': 100.0, 'medium_vegetation': 24.0, 'low_vegetation': 6.0, 'vehicle': 15.0,
                 'truck': 7.0, 'fence': 4.0, 'clutter': 2.5, 'light_pole': 1.6, 'street_sign': 0.8, 'motorcycle': 0.6,
                 'bike': 0.4}
_DEMO_SCALE = {'bike': 1.4, 'motorcycle': 1.3, 'light_pole': 1.2, 'street_sign': 1.6, 'clutter': 1.3}


@dataclass(frozen=True)
class Preset:
    """A scene configuration with the number of scenes it makes a data set of, and its class mapping."""

    scene: SceneConfig
    scenes: int
    val: int
    mapping: str
    purpose: str


PRESETS: dict[str, Preset] = {
    'tiny': Preset(
        SceneConfig(size=40, layout=LayoutConfig(street_spacing=(40, 60)), flight=FlightConfig(
            pattern='tiny', agl=40, overlap_forward=0.7, overlap_side=0.6, width=160, height=120, fov_x=70)),
        2, 1, 'aerial', 'unit tests: 40 m, 160×120 images'),
    'demo': Preset(
        SceneConfig(
            size=120, terrain=TerrainConfig(relief=4.0, hurst=1.0), layout=LayoutConfig(building_share=0.75),
            mix=MixConfig(profile=_DEMO_PROFILE, object_share=0.16, object_scale=_DEMO_SCALE, correction_rounds=3),
            flight=FlightConfig(pattern='nadir', agl=50, overlap_forward=0.04, overlap_side=0.04, width=256, height=256,
                                fov_x=28.7, distortion=(0.0, 0.0, 0.0, 0.0)),
            render=RenderConfig(sun_elevation=55.0, ambient=0.45), output=OutputConfig(depth=False, ortho=False)),
        11, 3, 'aerial', 'the embedded default: eleven 120 m scenes, 275 nadir images of 256×256, GSD 0.10 m'),
    'small': Preset(
        SceneConfig(size=80, flight=FlightConfig(pattern='crosshatch', agl=50, overlap_forward=0.6, overlap_side=0.6,
                                                 width=320, height=240, fov_x=50)),
        8, 2, 'aerial', '80 m scenes, 320×240 images'),
    'standard': Preset(
        SceneConfig(size=120, flight=FlightConfig(width=512, height=384)),
        8, 2, 'clean6', "the specification's 120 m scene: 216 cross-hatch images of 512×384"),
    'large': Preset(
        SceneConfig(size=240, flight=FlightConfig(pattern='oblique', overlap_side=0.7)),
        8, 2, 'full', '240 m scenes, nadir and four oblique headings, 1024×768 images'),
    'airfield': Preset(
        SceneConfig(size=160, layout=LayoutConfig(density='airfield'), flight=FlightConfig(
            pattern='nadir', agl=80, overlap_forward=0.4, overlap_side=0.4, width=512, height=384)),
        4, 1, 'full', '160 m airfield scenes with aircraft'),
}
