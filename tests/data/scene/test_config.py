from __future__ import annotations

import json

import pytest

from imbdense.data.scene.classes import CLASS_IDS
from imbdense.data.scene.config import SceneConfig, object_scale
from imbdense.data.scene.presets import PRESETS


@pytest.mark.parametrize('name', list(PRESETS))
def test_presets_survive_json(name: str) -> None:
    config = PRESETS[name].scene
    assert SceneConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


def test_changed_keeps_the_other_fields_of_a_part() -> None:
    config = SceneConfig().changed(mix={'imbalance_ratio': 50}, seed=9)
    assert config.mix.imbalance_ratio == 50 and config.mix.profile == 'stpls3d' and config.seed == 9
    assert SceneConfig().seed == 0


@pytest.mark.parametrize(('parts', 'error', 'words'), [
    ({'size': 5}, ValueError, 'size'),
    ({'size': float('nan')}, ValueError, 'size'),
    ({'seed': -1}, ValueError, 'seed'),
    ({'seed': 1.5}, TypeError, 'seed'),
    ({'flight': {'pattern': 'spiral'}}, ValueError, 'flight.pattern'),
    ({'flight': {'overlap_side': 1.0}}, ValueError, 'flight.overlap_side'),
    ({'flight': {'distortion': (0, 0)}}, ValueError, 'flight.distortion'),
    ({'layout': {'density': 'rural'}}, ValueError, 'layout.density'),
    ({'layout': {'street_width': (9, 5)}}, ValueError, 'layout.street_width'),
    ({'mix': {'profile': 'long'}}, ValueError, 'mix.profile'),
    ({'mix': {'profile': {'vehicel': 1.0}}}, ValueError, "did you mean 'vehicle'"),
    ({'mix': {'profile': {'building': 1.0}}}, ValueError, 'no object class'),
    ({'mix': {'profile': 'balanced', 'imbalance_ratio': 10}}, ValueError, 'cannot be reached'),
    ({'mix': {'imbalance_ratio': 0.5}}, ValueError, 'mix.imbalance_ratio'),
    ({'mix': {'imbalance_ratio': 1}}, ValueError, 'balanced'),
    ({'mix': {'class_absent_prob': 2}}, ValueError, 'class_absent_prob'),
    ({'mix': {'occlusoin': 0.1}}, TypeError, "did you mean 'occlusion'"),
    ({'mix': 3}, TypeError, 'MixConfig'),
    ({'mix': {'object_scale': {'bke': 2.0}}}, ValueError, "did you mean 'bike'"),
    ({'mix': {'object_scale': {'bike': 9.0}}}, ValueError, 'mix.object_scale'),
    ({'mix': {'object_scale': 0.1}}, ValueError, 'mix.object_scale'),
    ({'label_noise': {'fraction': 0.2, 'mislabel': 0, 'drop': 0, 'erode': 0}}, ValueError, 'label_noise'),
    ({'render': {'supersample': 3}}, ValueError, 'supersample'),
    ({'layout': {'geojson': '/no/such/file.json'}}, FileNotFoundError, '/no/such/file.json'),
    ({'terrain': {'dsm': '/no/such/dsm.tif'}}, FileNotFoundError, '/no/such/dsm.tif'),
    ({'sizes': 5}, TypeError, 'sizes'),
])
def test_bad_values_are_named(parts: dict[str, object], error: type[Exception], words: str) -> None:
    with pytest.raises(error) as caught:
        SceneConfig().changed(**parts)
    assert words in str(caught.value)


def test_size_factor_per_class() -> None:
    config = SceneConfig().changed(mix={'object_scale': {'bike': 2.0}})
    assert object_scale(config.mix, CLASS_IDS['bike']) == 2 and object_scale(config.mix, CLASS_IDS['truck']) == 1
    assert object_scale(SceneConfig().changed(mix={'object_scale': 1.5}).mix, CLASS_IDS['truck']) == 1.5


def test_unknown_top_level_key_of_a_mapping() -> None:
    with pytest.raises(TypeError, match="did you mean 'terrain'"):
        SceneConfig.from_dict({'terain': {}})
