"""Checks of LiDAR scenes with boxes: a clean folder has no errors, a damaged scan is named."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from imbdense.data.checks import check_splits
from imbdense.data.lidar_scene import SETUPS, generate_lidar_scenes

pytest.importorskip('mmengine')

from imbdense.mm.datasets.config_splits import describe
from imbdense.mm.datasets.kitti_box_dataset import KittiBoxDataset

SMALL = replace(SETUPS['beams64'], sensor=replace(SETUPS['beams64'].sensor, beams=16, step=2.0))


def test_boxes_in_space_are_not_checked_as_boxes_of_images(tmp_path: Path) -> None:
    generate_lidar_scenes(tmp_path, SMALL, {'train': 3}, seed=0)
    dataset = KittiBoxDataset(str(tmp_path))
    found = check_splits([describe(dataset, 'train')])
    assert {finding.code for finding in found} <= {'absent_class', 'empty_image'}
    scan = Path(dataset.get_data_info(1)['points_path'])
    scan.write_bytes(scan.read_bytes()[:-3])
    (broken,) = [finding for finding in check_splits([describe(dataset, 'train')]) if finding.severity == 'error']
    assert (broken.code, broken.file) == ('unreadable', str(scan)) and scan.name in broken.message
