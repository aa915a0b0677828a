"""The autoencoder as the source of features of an object pool: whole tiles as objects, then a selection."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope
from PIL import Image

pytest.importorskip('mmseg')

from imbdense.core.selection import BinnedClusterSelector
from imbdense.data.object_pool import PoolWriter, open_pool
from imbdense.mm.object_pool.build import ImageFacts, ObjectExtractor, build_pool
from imbdense.mm.object_pool.images import PoolImages
from imbdense.mm.object_pool.objects import whole_image
from imbdense.mm.predictor import Predictor
from imbdense.utils.paths import configs_dir

TILES = 6


@pytest.fixture(autouse=True)
def scope() -> Iterator[None]:
    with DefaultScope.overwrite_default_scope('mmseg'):
        yield


def test_features_of_tiles(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    files = [tmp_path / f'{number}.png' for number in range(TILES)]
    for file in files:
        Image.fromarray(rng.integers(0, 256, (64, 64, 3), dtype=np.uint8)).save(file)
    config = Config.fromfile(str(configs_dir() / 'selection' / 'autoencoder_scenes.py'))
    predictor = Predictor(config, None, 'cpu')
    names = [file.name for file in files]
    writer = PoolWriter(tmp_path / 'pool', names, [], source='image', dtype='float32', normalize=False)
    extract = ObjectExtractor(PoolImages(names, [str(file) for file in files]), predictor, whole_image,
                              classes={-1: -1}, facts=ImageFacts([1.0] * TILES, [0] * TILES))
    build_pool(writer, extract)
    pool = open_pool(writer.finish())
    images = np.stack([np.asarray(Image.open(file)) for file in files]).transpose(0, 3, 1, 2) / 255
    with torch.no_grad():
        expected = predictor.model.extract(torch.from_numpy(images).float())
    np.testing.assert_allclose(np.asarray(pool.obj_feat), expected.numpy(), atol=1e-5)
    assert len(BinnedClusterSelector()(pool, 3)) == 3
