"""stpls3d §5 D: the long-tail dial counts points of the cloud."""

from __future__ import annotations

from pathlib import Path

import pytest

from imbdense.data.scene import classes as c
from imbdense.data.scene import mix
from imbdense.data.scene.clouds.config import CloudConfig
from imbdense.data.scene.clouds.generate import CloudManifest, generate_cloud
from imbdense.data.scene.clouds.presets import CLOUD_PRESETS

pytest.importorskip('open3d')
LASER = CLOUD_PRESETS['small'].cloud.changed(mode='lidar', lidar={'density': 8.0}, scene={
    'seed': 11, 'flight': {'pattern': 'nadir', 'overlap_forward': 0.3, 'overlap_side': 0.3}})


def check(config: CloudConfig, manifest: CloudManifest) -> None:
    """The ratio within 25 % ('balanced': within a factor 2), no class empty."""
    weights = mix.target_weights(config.scene)
    points = {number: manifest.counts['points'][c.CLASS_NAMES[number]] for number in weights}
    assert min(points.values()) > 0
    ratio = max(points.values()) / min(points.values())
    assert manifest.imbalance_ratio == pytest.approx(ratio) and manifest.mix['counted'] == 'points'
    print(ratio, manifest.mix['asked_ratio'], manifest.mix['rounds'], manifest.mix['expected_share_error'])
    if config.scene.mix.profile == 'balanced':
        assert ratio <= 2
    else:
        assert ratio == pytest.approx(config.scene.mix.imbalance_ratio, rel=0.25)


@pytest.mark.parametrize('ratio', [10.0, pytest.param(100.0, marks=pytest.mark.slow),
                                   pytest.param(1000.0, marks=pytest.mark.slow)])
def test_the_asked_ratio_of_points_is_reached(tmp_path: Path, ratio: float) -> None:
    config = LASER.changed(scene={'mix': {'imbalance_ratio': ratio}})
    check(config, generate_cloud(config, tmp_path / 'cloud'))


@pytest.mark.slow
def test_balanced_classes_are_within_a_factor_two(tmp_path: Path) -> None:
    config = LASER.changed(scene={'mix': {'profile': 'balanced'}})
    check(config, generate_cloud(config, tmp_path / 'cloud'))


@pytest.mark.slow
@pytest.mark.parametrize('ratio', [10.0, 100.0, 1000.0])
def test_the_asked_ratio_is_reached_by_image_matching(tmp_path: Path, ratio: float) -> None:
    config = CLOUD_PRESETS['small'].cloud.changed(scene={'seed': 11, 'mix': {'imbalance_ratio': ratio}})
    check(config, generate_cloud(config, tmp_path / 'cloud'))


def test_absent_classes_have_no_points_and_no_objects(tmp_path: Path) -> None:
    config = LASER.changed(scene={'size': 40.0, 'mix': {'class_absent_prob': 0.5, 'correction_rounds': 0}})
    manifest = generate_cloud(config, tmp_path / 'cloud')
    absent = manifest.mix['absent']
    assert absent and all(manifest.counts[kind][name] == 0 for name in absent for kind in ('points', 'instances'))
