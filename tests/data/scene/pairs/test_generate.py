from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from imbdense.data.scene import classes as c
from imbdense.data.scene.manifest import file_digest
from imbdense.data.scene.pairs.config import PairConfig
from imbdense.data.scene.pairs.generate import PairManifest, finished_pair, from_to_table, generate_pair
from tests.data.scene.pairs.conftest import small_pair

rasterio = pytest.importorskip('rasterio')
Pair = tuple[Path, PairConfig, PairManifest]


def read(folder: Path, name: str) -> np.ndarray:
    """All bands of a raster of the pair."""
    with rasterio.open(folder / f'{name}.tif') as source:
        return source.read()


def test_rasters_share_one_grid_and_say_what_they_hold(pair_folder: Pair) -> None:
    folder, _, manifest = pair_folder
    names = {'t1', 't2', 'dsm_t1', 'dsm_t2', 'dtm', 'label_t1', 'label_t2', 'label_change'}
    assert {path.stem for path in folder.glob('*.tif')} == names
    profiles = []
    for name in sorted(names):
        with rasterio.open(folder / f'{name}.tif') as source:
            profiles.append((source.crs, source.transform, source.shape))
            assert source.count == (4 if name in ('t1', 't2') else 1)
            assert source.nodata == (255 if 'label' in name else -9999 if name.startswith('d') else None)
            assert source.descriptions[0] is not None
    assert len(set(profiles)) == 1 and profiles[0][2] == (96, 96) and profiles[0][1].a == 0.5
    assert manifest.files == {path.name: file_digest(path) for path in folder.iterdir()
                              if path.name not in ('manifest.json', 'timing.json')}


def test_the_change_map_is_the_difference_of_the_labels(pair_folder: Pair) -> None:
    folder, _, manifest = pair_folder
    first, second, change = (read(folder, name)[0] for name in ('label_t1', 'label_t2', 'label_change'))
    assert np.array_equal(change, (first != second).astype(np.uint8))
    assert change.mean() == pytest.approx(manifest.change_share) and manifest.within_tolerance
    table = np.array(manifest.from_to)
    assert np.array_equal(table, from_to_table(first, second, 8)) and table.sum() == 96 * 96
    assert sum(item['changed_pixels'] for item in json.loads((folder / 'edits.json').read_text())) \
        == pytest.approx(change.sum(), rel=0.02)


def test_buildings_rise_above_the_terrain_and_edits_show_in_the_surface(pair_folder: Pair) -> None:
    folder, _, _ = pair_folder
    first, second = read(folder, 'label_t1')[0], read(folder, 'label_t2')[0]
    height = [read(folder, f'dsm_t{date}')[0] - read(folder, 'dtm')[0] for date in (1, 2)]
    building, soil = c.MAPPINGS['land_cover'].classes.index('building'), (0, 1, 2)
    assert np.median(height[0][first == building]) > 2.5
    assert np.abs(height[0][np.isin(first, soil)]).mean() < 0.2
    gone = (first == building) & np.isin(second, soil)
    built = (second == building) & np.isin(first, soil)
    assert gone.any() or built.any()
    for where, sign in ((gone, -1), (built, 1)):
        assert not where.any() or np.median(sign * (height[1] - height[0])[where]) > 2


def test_equal_configuration_gives_equal_bytes_and_another_seed_other_ones(pair_folder: Pair, tmp_path: Path) -> None:
    _, config, manifest = pair_folder
    again = generate_pair(config, tmp_path / 'again')
    assert again == manifest
    other = generate_pair(small_pair(change_share=0.1, scene={'seed': 5}), tmp_path / 'other')
    assert other.files['label_t1.tif'] != manifest.files['label_t1.tif']


def test_a_dial_touches_only_its_own_files(pair_folder: Pair, tmp_path: Path) -> None:
    manifest = pair_folder[2]
    other = generate_pair(small_pair(change_share=0.1, misregistration=3.0, season=1.0, illumination=1.0),
                          tmp_path / 'nuisance')
    assert {name for name in manifest.files if other.files[name] != manifest.files[name]} == {'t2.tif'}


def test_a_finished_pair_is_kept_and_a_damaged_one_made_again(pair_folder: Pair, tmp_path: Path,
                                                              monkeypatch: pytest.MonkeyPatch) -> None:
    _, config, manifest = pair_folder
    folder = tmp_path / 'pair'
    generate_pair(config, folder)
    assert finished_pair(folder, config) == manifest and finished_pair(folder, small_pair()) is None
    (folder / 'label_t1.tif').write_bytes(b'')
    assert finished_pair(folder, config) is None
    assert generate_pair(config, folder) == manifest and finished_pair(folder, config) == manifest
    monkeypatch.setattr('imbdense.data.scene.pairs.generate.solve_edits', None)  # would fail if anything were made
    assert generate_pair(config, folder) == manifest


def test_the_long_tail_dial_holds_for_the_first_date(tmp_path: Path) -> None:
    ratio = 20.0
    mix = {'profile': {'high_vegetation': 10.0, 'vehicle': 3.0, 'clutter': 1.0}, 'imbalance_ratio': ratio}
    manifest = generate_pair(small_pair(scene={'mix': mix, 'size': 96.0}), tmp_path / 'pair')
    assert manifest.mix['asked_ratio'] == pytest.approx(ratio)
    table = dict(zip(c.MAPPINGS['land_cover'].classes, np.array(manifest.from_to).sum(axis=1)))
    assert table['tree'] / table['small_object'] == pytest.approx(ratio, rel=0.25)
