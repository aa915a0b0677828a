from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from imbdense.registry import DATASETS
from tests.data.raster.places import CLASSES, LUT, place, sources, write

pytest.importorskip('rasterio')
pytest.importorskip('mmcv')
NORMALIZE = {'type': 'imbdense.NormalizeBands'}
SPLIT = {'shares': {'train': 0.5, 'val': 0.25, 'test': 0.25}, 'block': 40, 'buffer': 4, 'seed': 0}


def dataset(folder: Path, files: dict[str, str] | None = None, **options: Any) -> Any:
    """The made-up place as a data set."""
    files = files or place(folder)
    config: dict[str, Any] = {
        'type': 'imbdense.MultiSourceGeoTIFFDataset', 'window': 24,
        'label': {'path': files['label'], 'nodata': 0, 'lut': LUT}, 'metainfo': {'classes': CLASSES},
        'num_windows': 40, 'cache_dir': str(folder / 'cache'), 'pipeline': [NORMALIZE],
    }
    if 'sources' not in options:
        config['sources'] = sources(files)
    return DATASETS.build(config | options)


def test_a_sample_holds_image_label_and_place(tmp_path: Path) -> None:
    found = dataset(tmp_path)[3]
    row, column, height, width = found['window']
    assert found['img'].shape == (24, 24, 10) and found['img'].dtype == np.float32 and (height, width) == (24, 24)
    assert found['gt_seg_map'].shape == (24, 24) and found['seg_fields'] == ['gt_seg_map']
    assert found['geotransform'][2] == 400000 + 2 * column and found['geotransform'][5] == 5200000 - 2 * row
    assert set(np.unique(found['gt_seg_map'])) <= {0, 1, 2, 3, 255}


def test_invalid_pixels_are_zero_after_normalisation_and_ignored(tmp_path: Path) -> None:
    data = dataset(tmp_path, test_mode=True, normalize='per_scene')
    found = [item for item in (data[k] for k in range(len(data))) if not item['valid'].all()]
    assert found
    for item in found:
        hole = ~item['valid'][..., 0]
        assert not item['img'][hole].any() and (item['gt_seg_map'][hole] == 255).all()
        assert np.isfinite(item['img']).all() and np.abs(item['img']).max() < 100  # no -9999 anywhere


def test_statistics_are_those_of_the_training_blocks_and_are_kept(tmp_path: Path) -> None:
    files = place(tmp_path)
    train = dataset(tmp_path, files, split=SPLIT)
    scene = train.scene
    values, valid = scene.stacks[0].read((0, 0, 120, 160))
    usable = scene.blocks.usable('train', (0, 0, 120, 160)) & valid
    pixels = values[usable].astype(float)
    assert train.band_statistics.pixels == len(pixels)
    scalar = [0, 1, 2, 3, 4, 5, 8, 9]
    assert np.allclose(np.array(train.band_statistics.mean)[scalar], pixels.mean(axis=0)[scalar])
    assert np.allclose(np.array(train.band_statistics.std)[scalar], pixels.std(axis=0)[scalar])
    assert train.band_statistics.mean[6:8] == (0.0, 0.0)
    label = scene.labels((0, 0, 120, 160))['class'][usable]
    assert train.band_statistics.class_pixels == tuple(np.bincount(label[label < 255], minlength=4))
    assert len(list((tmp_path / 'cache').iterdir())) == 1
    again = dataset(tmp_path, files, split=SPLIT, subset='val', test_mode=True)
    assert again.band_statistics == train.band_statistics and len(list((tmp_path / 'cache').iterdir())) == 1
    dataset(tmp_path, files, split=SPLIT | {'seed': 1})
    assert len(list((tmp_path / 'cache').iterdir())) == 2


def test_sample_i_is_the_same_window_for_everyone(tmp_path: Path) -> None:
    one = dataset(tmp_path, split=SPLIT)
    two = pickle.loads(pickle.dumps(one))
    assert one[7]['window'] == two[7]['window'] and np.array_equal(one[7]['img'], two[7]['img'])
    assert len({one[k]['window'] for k in range(20)}) > 10 and len(one) == 40


def test_workers_read_what_the_main_process_reads(tmp_path: Path) -> None:
    data = dataset(tmp_path)
    data[0]  # a handle is open before the fork
    loader = torch.utils.data.DataLoader(data, batch_size=None, num_workers=2, collate_fn=lambda item: item)
    for number, item in enumerate(loader):
        assert np.array_equal(item['img'], data[number]['img'])
        if number == 5:
            break


def test_evaluation_covers_the_subset_once_and_never_looks_at_labels(tmp_path: Path) -> None:
    data = dataset(tmp_path, split=SPLIT, subset='val', test_mode=True)
    covered = np.zeros((120, 160), int)
    for k in range(len(data)):
        row, column, height, width = data[k]['window']
        covered[row:row + height, column:column + width] += 1
    usable = data.scene.blocks.usable('val', (0, 0, 120, 160))
    assert not covered[~usable].any() and (covered[usable] > 0).mean() > 0.95


def test_without_training_statistics_nothing_is_predicted(tmp_path: Path) -> None:
    files = place(tmp_path)
    data = dataset(tmp_path, files, test_mode=True)
    with pytest.raises(ValueError, match='per_scene'):
        data[0]
    train = dataset(tmp_path, files, split=SPLIT)
    kept = dataset(tmp_path, files, test_mode=True, statistics=train.band_statistics.to_dict())
    assert kept.band_statistics == train.band_statistics
    path = next((tmp_path / 'cache').iterdir())
    assert dataset(tmp_path, files, test_mode=True, statistics=str(path)).band_statistics == train.band_statistics
    other = dataset(tmp_path, files, sources=sources(files)[:1], test_mode=True, statistics=str(path))
    with pytest.raises(ValueError, match='statistics are of the bands'):
        other[0]


def test_a_test_scene_of_another_gain_gives_other_inputs(tmp_path: Path) -> None:
    """The statistics of the predicted scene are never used, unless asked for: then the gain disappears."""
    import rasterio

    files = place(tmp_path)
    train = dataset(tmp_path, files, split=SPLIT)
    with rasterio.open(files['t1']) as source:
        brighter = np.clip(source.read() * 1.4, 0, 255).astype(np.uint8)
    other = files | {'t1': write(tmp_path / 'bright.tif', brighter, names=('red', 'green', 'blue', 'nir'))}
    kept = train.band_statistics.to_dict()

    def red(which: dict[str, str], **options: Any) -> float:
        """Mean of the first normalised band, valid pixels."""
        data = dataset(tmp_path, which, test_mode=True, **options)
        items = [data[k] for k in range(len(data))]
        return float(np.mean([item['img'][item['valid'][..., 0]][:, 0].mean() for item in items]))

    assert red(other, statistics=kept) > red(files, statistics=kept) + 0.5
    assert abs(red(other, normalize='per_scene') - red(files, normalize='per_scene')) < 0.05


def test_windows_with_too_little_data_are_drawn_again(tmp_path: Path) -> None:
    files = place(tmp_path)
    ground = np.full((120, 160), -9999, np.float32)
    ground[:, :40] = 500 + np.arange(40)
    files['dtm'] = write(tmp_path / 'strip.tif', ground, nodata=-9999)
    data = dataset(tmp_path, files, min_valid=0.9)
    assert all(data[k]['valid'].mean() >= 0.9 for k in range(8))


def test_outside_of_the_area_of_interest_nothing_is_learned(tmp_path: Path) -> None:
    from tests.data.raster.test_aoi import collection, polygon

    path = tmp_path / 'aoi.geojson'
    path.write_text(collection(polygon(0, 0, 80, 120), crs={'type': 'name', 'properties': {'name': 'EPSG:32633'}}))
    data = dataset(tmp_path, aoi=str(path))
    for item in (data[k] for k in range(10)):
        column = item['window'][1]
        assert (item['gt_seg_map'][:, max(80 - column, 0):] == 255).all()
    assert data.band_statistics.pixels <= 80 * 120


@pytest.mark.parametrize(('options', 'words'), [
    ({'grid': {'like': 'nothing'}}, 'grid'), ({'split': SPLIT, 'subset': 'all'}, 'subset'),
    ({'metainfo': {}}, 'classes'), ({'windows': {'type': 'ChangeAwareWindowSampler'}}, 'change'),
    ({'label': {'file': 'x'}}, 'label'), ({'normalize': 'scene'}, 'normalize'),
    ({'statistics': 'nowhere.json'}, 'nowhere'),
])
def test_configs_that_make_no_sense_are_explained(tmp_path: Path, options: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        dataset(tmp_path, **options)


def train_pixel_net(data: Any, channels: list[int], steps: int = 150) -> nn.Module:
    """A small network of single pixels, plain cross entropy."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(len(channels), 24), nn.ReLU(), nn.Linear(24, len(data.metainfo['classes'])))
    optimizer = torch.optim.Adam(net.parameters(), 1e-2)
    for step in range(steps):
        item = data[step]
        x = torch.from_numpy(item['img'][..., channels]).flatten(0, 1)
        loss = nn.functional.cross_entropy(net(x), torch.from_numpy(item['gt_seg_map']).flatten().long(),
                                           ignore_index=255)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return net


def recalls(net: nn.Module, data: Any, channels: list[int]) -> np.ndarray:
    """Recall per class over an evaluation set."""
    hits = np.zeros((2, len(data.metainfo['classes'])))
    for k in range(len(data)):
        item = data[k]
        with torch.no_grad():
            found = net(torch.from_numpy(item['img'][..., channels]).flatten(0, 1)).argmax(1).numpy()
        truth = item['gt_seg_map'].ravel()
        for klass in range(hits.shape[1]):
            hits[:, klass] += ((found == klass) & (truth == klass)).sum(), (truth == klass).sum()
    return hits[0] / np.maximum(hits[1], 1)


@pytest.mark.slow
def test_heights_help_where_only_heights_tell_and_permuted_ones_do_not(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    row, column = np.mgrid[:160, :200]
    ground = (600 + 150 * np.sin(row / 25) + 120 * np.cos(column / 31)).astype(np.float32)
    colour = (rng.random((160, 200)) < 0.5).astype(np.uint8)
    label = np.where(colour == 1, 2, ground > 620).astype(np.uint8)  # 0 and 1 look alike, one is higher
    image = (80 + 60 * colour[None] + rng.integers(0, 40, (3, 160, 200))).astype(np.uint8)
    files = {'rgb': write(tmp_path / 'rgb.tif', image), 'dtm': write(tmp_path / 'dtm.tif', ground),
             'mixed': write(tmp_path / 'mixed.tif', rng.permutation(ground.ravel()).reshape(ground.shape)),
             'label': write(tmp_path / 'label.tif', label)}

    def macro_recall(heights: str, channels: list[int]) -> float:
        """Of a small network trained on the training blocks, over the others."""
        options: dict[str, Any] = {
            'sources': [{'key': 'rgb', 'path': files['rgb']},
                        {'key': 'z', 'path': files[heights], 'kind': 'elevation'}],
            'label': {'path': files['label']}, 'metainfo': {'classes': ('low', 'high', 'bright')}, 'window': 16,
            'split': {'shares': {'train': 0.6, 'val': 0.4}, 'block': 40, 'buffer': 2, 'seed': 0}, 'num_windows': 150,
        }
        net = train_pixel_net(dataset(tmp_path, files, **options), channels)
        return float(recalls(net, dataset(tmp_path, files, subset='val', test_mode=True, **options), channels).mean())

    without = macro_recall('dtm', [0, 1, 2])
    assert macro_recall('dtm', [0, 1, 2, 3]) > without + 0.15
    assert macro_recall('mixed', [0, 1, 2, 3]) < without + 0.05


@pytest.mark.slow
def test_class_balanced_windows_raise_the_recall_of_the_rare_class(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    label = (np.indices((256, 256)).sum(axis=0) // 40 % 2).astype(np.uint8)
    for row, column in rng.integers(0, 250, (10, 2)):
        label[row:row + 5, column:column + 5] = 2
    image = (60 + 60 * (label[None] == 1) + 40 * (label[None] == 2) + rng.normal(0, 9, (3, 256, 256))).astype(np.uint8)
    files = {'rgb': write(tmp_path / 'rgb.tif', image), 'label': write(tmp_path / 'label.tif', label)}
    found = {}
    for name in ('RandomWindowSampler', 'ClassBalancedWindowSampler'):
        options: dict[str, Any] = {
            'sources': [{'key': 'rgb', 'path': files['rgb']}], 'label': {'path': files['label']}, 'window': 16,
            'metainfo': {'classes': ('a', 'b', 'rare')}, 'windows': {'type': name}, 'num_windows': 150,
        }
        net = train_pixel_net(dataset(tmp_path, files, **options), [0, 1, 2])
        whole = dataset(tmp_path, files, test_mode=True, normalize='per_scene', **options)
        found[name] = recalls(net, whole, [0, 1, 2])
    assert found['ClassBalancedWindowSampler'][2] > found['RandomWindowSampler'][2] + 0.1
