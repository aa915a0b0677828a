"""Models of raster data sets as maps: what the data set prepares of the whole place is what is mapped, tile by tile."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

pytest.importorskip('mmseg')
rasterio = pytest.importorskip('rasterio')

from mmengine.config import Config  # noqa: E402
from mmengine.registry import DATASETS, MODELS, init_default_scope  # noqa: E402

from imbdense.cli.main import run_verb  # noqa: E402
from tests.data.raster.places import CLASSES, LUT, place, sources  # noqa: E402
from tests.helpers.raster_scene import read_map  # noqa: E402

BANDS, SIDE = 10, 160
WHOLE = ('--tile', str(SIDE), '--mode', 'blend', '--overlap', '0')


def config_of(folder: Path, files: dict[str, str], **dataset: Any) -> Config:
    """Early fusion of two dates of ten bands: image, height, four derivatives and a formula."""
    data = {
        'type': 'imbdense.BiTemporalGeoTIFFDataset', 'sources': sources(files), 'second_sources': sources(files, 't2'),
        'label': {'path': files['label'], 'nodata': 0, 'lut': LUT}, 'metainfo': {'land_cover': CLASSES},
        'second_label': {'path': files['label2'], 'nodata': 0, 'lut': LUT}, 'window': SIDE, 'test_mode': True,
        'cache_dir': str(folder / 'cache'),
        'pipeline': [{'type': 'imbdense.NormalizeBands'}, {'type': 'imbdense.PackChangeInputs'}],
    }
    model = {
        'type': 'EncoderDecoder', 'data_preprocessor': {'type': 'imbdense.DenseDataPreProcessor', 'dates': 2},
        'backbone': {'type': 'imbdense.FCSiamEncoder', 'in_channels': 2 * BANDS},
        'decode_head': {'type': 'imbdense.FCSiamHead', 'num_classes': 2}, 'test_cfg': {'mode': 'whole'},
    }  # fmt: skip
    return Config({'default_scope': 'mmseg', 'model': model, 'test_dataloader': {'dataset': data | dataset}})


@pytest.fixture(scope='module')
def trained(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A place, the statistics of *another* one in the checkpoint, random weights."""
    folder = tmp_path_factory.mktemp('trained')
    (folder / 'home').mkdir()
    init_default_scope('mmseg')
    elsewhere = config_of(folder, place(folder / 'home', SIDE, SIDE, seed=7), normalize='per_scene')
    home = DATASETS.build(elsewhere.test_dataloader.dataset)
    home.full_init()
    found = home.band_statistics
    statistics = replace(found, mean=tuple(m + 20 for m in found.mean), std=tuple(2 * s for s in found.std))
    files = place(folder, SIDE, SIDE)
    config = config_of(folder, files)
    torch.manual_seed(2)
    model = MODELS.build(config.model).eval()
    for parameter in model.parameters():
        if parameter.ndim == 4:
            torch.nn.init.normal_(parameter, std=0.1)
    meta = {'imbdense': {'band_statistics': statistics.to_dict()}}
    torch.save({'state_dict': model.state_dict(), 'meta': meta}, folder / 'weights.pth')
    torch.save({'state_dict': model.state_dict(), 'meta': {}}, folder / 'bare.pth')
    return {'folder': folder, 'files': files, 'config': config, 'model': model, 'statistics': statistics}


def predict(config: Config, folder: Path, weights: Path, *options: str) -> int:
    config.dump(folder / 'config.py')
    return run_verb('predict', ['raster', str(folder / 'config.py'), str(weights), *options, '--traceback'])


def expected(trained: dict[str, Any], **dataset: Any) -> tuple[np.ndarray, np.ndarray]:
    """Change and validity of one pass over what the data set gives of the whole place."""
    data = DATASETS.build(config_of(trained['folder'], trained['files'], **dataset).test_dataloader.dataset)
    if data.normalize != 'per_scene':
        data.bind_statistics(trained['statistics'])
    item, raw = data[0], data.get_data_info(0)
    with torch.inference_mode():
        scores = trained['model'].encode_decode(item['inputs'][None].float(), [{'img_shape': (SIDE, SIDE)}])[0]
    return scores.argmax(0).numpy(), raw['valid'].all(axis=2)


def test_the_map_is_what_the_data_set_and_its_statistics_say(trained: dict[str, Any], tmp_path: Path) -> None:
    weights = trained['folder'] / 'weights.pth'
    assert predict(trained['config'], tmp_path, weights, '--out', str(tmp_path / 'one'), *WHOLE) == 0
    change, valid = expected(trained)
    found = read_map(tmp_path / 'one' / 'change.tif')
    assert np.array_equal(found == 255, ~valid) and (~valid).sum() > 20
    assert (found == change)[valid].mean() > 0.9999 and 0.05 < change[valid].mean() < 0.95
    with rasterio.open(tmp_path / 'one' / 'change.tif') as written, rasterio.open(trained['files']['t1']) as source:
        assert (written.crs, written.transform, written.shape) == (source.crs, source.transform, source.shape)
        assert str(trained['statistics'].mean[0])[:8] in written.tags()['NORMALIZATION']
    maps = []
    for workers, batch in (('0', '2'), ('3', '1')):
        out, options = tmp_path / f'workers {workers}', ('--workers', workers, '--batch-size', batch)
        assert predict(trained['config'], tmp_path, weights, '--out', str(out), '--tile', '64', *options) == 0
        maps.append((out / 'change.tif').read_bytes())
    assert maps[0] == maps[1]


def test_statistics_of_the_scene_only_where_the_config_says_so(trained: dict[str, Any], tmp_path: Path) -> None:
    bare = trained['folder'] / 'bare.pth'
    with pytest.raises(Exception, match='holds no band statistics'):
        predict(trained['config'], tmp_path, bare, '--out', str(tmp_path / 'none'), *WHOLE)
    config = config_of(trained['folder'], trained['files'], normalize='per_scene')
    assert predict(config, tmp_path, bare, '--out', str(tmp_path / 'own'), *WHOLE) == 0
    change, valid = expected(trained, normalize='per_scene')
    assert (read_map(tmp_path / 'own' / 'change.tif') == change)[valid].mean() > 0.9999
    assert (expected(trained)[0] != change)[valid].mean() > 0.01, 'another normalisation is another map'


def test_rasters_in_the_place_of_those_of_the_config(trained: dict[str, Any], tmp_path: Path) -> None:
    pair, weights = [trained['files'][key] for key in ('t1', 't2')], trained['folder'] / 'weights.pth'
    with pytest.raises(Exception, match=r'reads 3 and 3 file\(s\) for its 2 date\(s\), but 2 raster\(s\)'):
        predict(trained['config'], tmp_path, weights, *pair)
    with pytest.raises(Exception, match='names the bands of its sources'):
        predict(trained['config'], tmp_path, weights, '--bands', '1')
    image = [{'key': 'img', 'path': 'nowhere.tif', 'kind': 'image'}]
    config = config_of(trained['folder'], trained['files'], sources=image, second_sources=image, normalize='per_scene')
    config.model.backbone.in_channels = 8
    torch.save({'state_dict': MODELS.build(config.model).state_dict(), 'meta': {}}, tmp_path / 'eight.pth')
    options = (*pair, '--out', str(tmp_path / 'pair'), '--tile', '64')
    assert predict(config, tmp_path, tmp_path / 'eight.pth', *options) == 0
    assert read_map(tmp_path / 'pair' / 'change.tif').shape == (SIDE, SIDE)
