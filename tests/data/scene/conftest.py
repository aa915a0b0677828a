"""One tiny scene, generated once for all tests of this folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from imbdense.data.scene.config import SceneConfig
from imbdense.data.scene.manifest import SceneManifest
from imbdense.data.scene.presets import PRESETS


def tiny(**parts: object) -> SceneConfig:
    """The tiny preset with fewer images and some fields changed."""
    flight = {'overlap_forward': 0.4, 'overlap_side': 0.4} | dict(parts.pop('flight', {}))  # type: ignore[call-overload]
    return PRESETS['tiny'].scene.changed(**({'seed': 3, 'flight': flight} | parts))


@pytest.fixture(scope='session')
def tiny_scene(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, SceneConfig, SceneManifest]:
    """Folder, configuration and manifest of a scene with depth and ortho products."""
    pytest.importorskip('open3d')
    from imbdense.data.scene.generate import generate_scene

    config = tiny(output={'ortho_gsd': 0.25}, flight={'gps_sigma': 0.1})
    folder = tmp_path_factory.mktemp('scenes') / 'tiny'
    return folder, config, generate_scene(config, folder)
