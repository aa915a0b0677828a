from __future__ import annotations

import json

import pytest

from imbdense.data.scene.pairs.config import PairConfig
from tests.data.scene.pairs.conftest import small_pair


def test_a_configuration_survives_json_and_changes_only_what_is_named() -> None:
    config = small_pair(change_share=0.2, scene={'mix': {'imbalance_ratio': 50}})
    assert json.loads(json.dumps(config.to_dict())) == config.to_dict()
    assert config.scene.mix.imbalance_ratio == 50 and config.scene.size == 48 and config.count == 96
    assert small_pair().scene.mix.imbalance_ratio is None


@pytest.mark.parametrize(('parts', 'words'), [
    ({'change_share': 0.7}, 'change_share'), ({'season': 1.5}, 'season'), ({'misregistration': -1}, 'misregistration'),
    ({'edits': {'houses': 1.0}}, 'houses'), ({'edits': {'building': 0.0}}, 'edits'), ({'mapping': 'x'}, 'mapping'),
    ({'gsd': 9.0}, 'gsd'),
])
def test_wrong_fields_are_named(parts: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        small_pair(**parts)


def test_a_scene_must_be_a_scene() -> None:
    with pytest.raises(TypeError, match='scene'):
        PairConfig(scene={'size': 10})  # type: ignore[arg-type]
