"""Change detectors of every kind as maps: what the model says of one tile is what the map holds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

pytest.importorskip('mmseg')
rasterio = pytest.importorskip('rasterio')

from imbdense.cli.main import run_verb  # noqa: E402
from tests.helpers.raster_scene import read_map, scene, write_raster  # noqa: E402

LAND = ('rock', 'grass', 'water')
SIZE = 64


def preprocessor(dates: int) -> dict[str, Any]:
    return {'type': 'imbdense.DenseDataPreProcessor', 'mean': [100.0] * 3, 'std': [50.0] * 3, 'dates': dates}


def siamese() -> dict[str, Any]:
    return {
        'type': 'imbdense.SiameseSegmentor', 'fusion': ['concat'] * 4 + ['last'], 'test_cfg': {'mode': 'whole'},
        'data_preprocessor': preprocessor(2), 'backbone': {'type': 'imbdense.FCSiamEncoder', 'in_channels': 3},
        'decode_head': {'type': 'imbdense.FCSiamHead', 'in_channels': (32, 64, 128, 256, 128), 'num_classes': 2},
    }  # fmt: skip


def semantic(unchanged_channel: bool) -> dict[str, Any]:
    return {
        'type': 'imbdense.SemanticChangeDetector', 'data_preprocessor': preprocessor(2),
        'backbone': {'type': 'imbdense.VSSM', 'dims': (16, 32), 'depths': (1, 1), 'out_indices': (0, 1)},
        'neck': {'type': 'imbdense.JSFusionNeck'}, 'change_head': {'type': 'imbdense.VSSChangeHead'},
        'semantic_head': {'type': 'imbdense.CGASemanticHead', 'num_classes': 3,
                          'unchanged_channel': unchanged_channel},
    }  # fmt: skip


def post_classification(**options: Any) -> dict[str, Any]:
    segmentor = {
        'type': 'mmseg.EncoderDecoder', 'test_cfg': {'mode': 'whole'},
        'backbone': {'type': 'imbdense.FCSiamEncoder', 'in_channels': 3},
        'decode_head': {'type': 'imbdense.FCSiamHead', 'num_classes': 3},
    }  # fmt: skip
    return {'type': 'imbdense.PostClassificationChange', 'segmentor': segmentor, 'data_preprocessor': preprocessor(2),
            **options}


def write(folder: Path, model: dict[str, Any]) -> tuple[list[str], Any]:
    """([config, checkpoint], the built model); scores far from ties."""
    from mmengine.config import Config
    from mmengine.registry import MODELS, init_default_scope

    dataset = {
        'type': 'BaseSegDataset', 'metainfo': {'classes': ('unchanged', 'changed'), 'land_cover': LAND},
        'pipeline': [{'type': 'LoadAnnotations'}],
    }  # fmt: skip
    config = Config({'model': model, 'default_scope': 'mmseg', 'test_dataloader': {'dataset': dataset}})
    config.dump(folder / 'config.py')
    init_default_scope('mmseg')
    torch.manual_seed(3)
    built = MODELS.build(config.model).eval()
    torch.save({'state_dict': built.state_dict(), 'meta': {}}, folder / 'weights.pth')
    return [str(folder / 'config.py'), str(folder / 'weights.pth')], built


def predicted(folder: Path, files: list[str], *options: str) -> dict[str, np.ndarray]:
    """Layers of a pair of one tile; the pair is that of :func:`pair`."""
    rasters = [write_raster(folder / f't{k}.tif', values) for k, values in enumerate(pair())]
    out = folder / 'out'
    arguments = [*files, *rasters, '--out', str(out), '--tile', str(SIZE), '--mode', 'blend', *options, '--traceback']
    assert run_verb('predict', ['raster', *arguments]) == 0
    return {path.stem: read_map(path) for path in out.glob('*.tif')}


def pair() -> list[np.ndarray]:
    one = scene(SIZE, SIZE, seed=1)
    two = one.copy()
    two[:, 16:48, 16:48] = scene(SIZE, SIZE, seed=2)[:, 16:48, 16:48]
    return [one, two]


def of_the_model(model: Any) -> Any:
    """The sample the model gives for the pair."""
    image = torch.from_numpy(np.concatenate(pair()).astype(np.float32))
    return model.test_step({'inputs': [image], 'data_samples': None})[0]


def same(found: np.ndarray, expected: torch.Tensor) -> bool:
    """Equal but for pixels where two classes tie to the last bits."""
    return float((found.astype(int) != expected.squeeze(0).numpy()).mean()) < 1e-3


def test_siamese(tmp_path: Path) -> None:
    files, model = write(tmp_path, siamese())
    found = predicted(tmp_path, files)
    assert list(found) == ['change']
    assert same(found['change'], of_the_model(model).pred_sem_seg.data)


@pytest.mark.parametrize('unchanged_channel', [False, True])
def test_change_and_land_cover(tmp_path: Path, unchanged_channel: bool) -> None:
    files, model = write(tmp_path, semantic(unchanged_channel))
    found, expected = predicted(tmp_path, files), of_the_model(model)
    assert set(found) == {'change', 'label_t1', 'label_t2', 'from_to'}
    assert same(found['change'], expected.pred_sem_seg.data)
    for date in ('t1', 't2'):
        assert same(found[f'label_{date}'], expected.get(f'pred_sem_{date}').data)
    one, two = (found[f'label_{date}'].astype(int) for date in ('t1', 't2'))
    kind = np.where((one < 3) & (two < 3), 1 + 3 * one + two, 65534)
    assert np.array_equal(found['from_to'], np.where(found['change'] == 1, kind, 0))
    with rasterio.open(tmp_path / 'out' / 'from_to.tif') as source:
        assert json.loads(source.tags(1)['CLASS_NAMES'])[2] == 'rock → grass'


def test_the_tile_of_the_training_is_taken_and_another_one_is_warned_of(tmp_path: Path) -> None:
    """Frequencies depend on the tile."""
    from mmengine.config import Config

    from imbdense.mm.raster import RasterNetwork

    files, model = write(tmp_path, semantic(False))
    model.train_tile.copy_(torch.tensor([48, 32]))
    torch.save({'state_dict': model.state_dict(), 'meta': {}}, files[1])
    network = RasterNetwork(Config.fromfile(files[0]), files[1], dates=2, device='cpu')
    assert network.tile == 48
    with pytest.warns(UserWarning, match=r'trained on tiles of \(48, 32\) but predicts on \(64, 64\)'):
        network.probe(6, 64)


def test_two_classifications_with_transitions_of_the_scene(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files, model = write(tmp_path, post_classification(prior=[0.5, 0.3, 0.2]))
    found = predicted(tmp_path, files, '--layers', 'change', 'label_t1', 'label_t2', 'p_change')
    assert 'transitions estimated from the scene itself' in capsys.readouterr().out
    assert np.array_equal(found['change'] == 1, found['label_t1'] != found['label_t2'])
    from imbdense.core.inference.transition_prior import estimate_transitions

    image = torch.from_numpy(np.concatenate(pair()).astype(np.float32))
    data = model.data_preprocessor({'inputs': [image], 'data_samples': None}, False)
    first, second = model.date_probabilities(data['inputs'], None)[0]
    model.set_transition(estimate_transitions(first.flatten(1), second.flatten(1), model.prior).matrix)
    expected = of_the_model(model)
    assert same(found['change'], expected.pred_sem_seg.data)
    assert same(found['label_t1'], expected.pred_sem_t1.data)


def test_two_classifications_compared_by_their_maxima(tmp_path: Path) -> None:
    files, model = write(tmp_path, post_classification(mode='argmax'))
    assert same(predicted(tmp_path, files)['change'], of_the_model(model).pred_sem_seg.data)


def test_a_least_area_changes_all_layers_together_whichever_are_written(tmp_path: Path) -> None:
    """Land cover of a pair needs the change map and the transitions for its filter; they are not written."""
    files, _ = write(tmp_path, post_classification(mode='argmax'))
    raw = predicted(tmp_path, files)
    options = ('--min-area', '90')  # pixels of 6 m²
    whole = predicted(tmp_path, files, '--out', str(tmp_path / 'whole'), *options)
    assert whole.keys() == raw.keys()
    whole = {path.stem: read_map(path) for path in (tmp_path / 'whole').glob('*.tif')}
    assert not np.array_equal(whole['change'], raw['change'])
    assert np.array_equal(whole['change'] == 1, whole['from_to'] > 0)
    assert np.array_equal(whole['change'] == 1, whole['label_t1'] != whole['label_t2'])
    predicted(tmp_path, files, '--out', str(tmp_path / 'one'), '--layers', 'label_t2', *options)
    assert [path.name for path in (tmp_path / 'one').glob('*.tif')] == ['label_t2.tif']
    assert np.array_equal(read_map(tmp_path / 'one' / 'label_t2.tif'), whole['label_t2'])
