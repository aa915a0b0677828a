"""One small pair, generated once for all tests of this folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from imbdense.data.scene.pairs.config import PairConfig
from imbdense.data.scene.pairs.generate import PairManifest, generate_pair
from imbdense.data.scene.pairs.presets import PAIR_PRESETS


def small_pair(**parts: Any) -> PairConfig:
    """48 m at half a metre: 96 x 96 pixels."""
    scene = {'size': 48.0, 'seed': 4} | dict(parts.pop('scene', {}))
    return PAIR_PRESETS['tiny'].pair.changed(scene=scene, **parts)


@pytest.fixture(scope='session')
def pair_folder(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, PairConfig, PairManifest]:
    """Folder, configuration and manifest."""
    pytest.importorskip('open3d')
    pytest.importorskip('rasterio')
    config = small_pair(change_share=0.1)
    folder = tmp_path_factory.mktemp('pairs') / 'pair'
    return folder, config, generate_pair(config, folder)
