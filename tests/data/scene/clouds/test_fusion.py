from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from imbdense.data.scene.clouds import fusion
from imbdense.data.scene.clouds.fusion import Cloud, fuse
from imbdense.data.scene.clouds.samples import SAMPLE, bin_samples, pack_voxels, unpack_voxels

Pixels = tuple[NDArray[np.float32], NDArray[np.uint8], NDArray[np.uint8], NDArray[np.uint16]]


def pixels(rng: np.random.Generator, count: int) -> Pixels:
    """Random pixels in a box of 3 × 3 × 2 m."""
    return (rng.uniform(-1, 2, (count, 3)).astype(np.float32), rng.integers(0, 256, (count, 3)).astype(np.uint8),
            rng.choice([1, 5, 15, 17], count).astype(np.uint8), rng.choice([0, 7, 9], count).astype(np.uint16))


def write(folder: Path, images: list[Pixels], voxel: float, sigma: float) -> list[Path]:
    files = []
    for number, image in enumerate(images):
        files.append(folder / f'{number}.samples')
        bin_samples(*image, np.full(len(image[0]), sigma, np.float32), voxel).tofile(files[-1])
    return files


def slow(images: list[Pixels], voxel: float, sigma: float, min_views: int) -> dict[tuple[int, ...], tuple[object, ...]]:
    """The rules of fusion voxel by voxel."""
    samples: dict[tuple[int, ...], list[tuple[object, ...]]] = {}
    for number, (point, rgb, semantic, instance) in enumerate(images):
        parts: dict[tuple[tuple[int, ...], tuple[int, int]], list[int]] = {}
        for row in range(len(point)):
            voxel_of = tuple(int(v) for v in np.floor(point[row].astype(float) / voxel))
            parts.setdefault((voxel_of, (int(semantic[row]), int(instance[row]))), []).append(row)
        for (voxel_of, label), rows in parts.items():
            samples.setdefault(voxel_of, []).append(
                (number, point[rows].astype(float).mean(0), np.rint(rgb[rows].astype(float).mean(0)), label, len(rows)))
    result = {}
    for voxel_of, found in samples.items():
        places = np.array([item[1] for item in found])
        good = [item for item, far in zip(found, np.linalg.norm(places - np.median(places, 0), axis=1))
                if far <= 3 * sigma + 1e-9]
        views = len({item[0] for item in good})
        if views < min_views:
            continue
        places = np.array([item[1] for item in good])
        away = np.linalg.norm(places - np.median(places, 0), axis=1)
        inlier = away <= 2 * np.median(away) + 1e-6
        votes: Counter[int] = Counter()
        for item in good:
            votes[item[3][0]] += item[4]  # type: ignore[index]
        label = min(votes, key=lambda k: (-votes[k], k))
        things: Counter[int] = Counter()
        for item in good:
            if item[3][0] == label:  # type: ignore[index]
                things[item[3][1]] += item[4]  # type: ignore[index]
        color = np.array([item[2] for item in good])[inlier].mean(0)
        result[voxel_of] = (places[inlier].mean(0), color, label, min(things, key=lambda k: (-things[k], k)), views,
                            votes[label] / sum(votes.values()))
    return result


@pytest.mark.parametrize(('sigma', 'rows'), [(10.0, 10**7), (0.12, 400)])
def test_fusion_equals_the_rules_written_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sigma: float, rows: int
                                             ) -> None:
    monkeypatch.setattr(fusion, '_ROWS', rows)
    rng = np.random.default_rng(0)
    images = [pixels(rng, 300) for _ in range(6)]
    cloud = fuse(write(tmp_path, images, 0.5, sigma), 0.5, 3)
    expected = slow(images, 0.5, sigma, 3)
    found = {tuple(int(v) for v in np.floor(xyz / 0.5)): row for row, xyz in enumerate(cloud.xyz)}
    assert len(found) == len(cloud) == len(expected) > 50
    for voxel, (place, color, label, thing, views, purity) in expected.items():
        row = found[voxel]
        assert cloud.xyz[row] == pytest.approx(place, abs=1e-3)
        assert cloud.attributes['rgb'][row] == pytest.approx(color, abs=1.01)
        assert (cloud.semantic[row], cloud.attributes['n_views'][row]) == (label, views)
        assert cloud.instance[row] == (thing if thing else -1)
        assert cloud.attributes['purity'][row] == pytest.approx(purity)


def one(label: int, instance: int = 0) -> Pixels:
    return (np.full((1, 3), 0.2, np.float32), np.full((1, 3), 9, np.uint8), np.array([label], np.uint8),
            np.array([instance], np.uint16))


def fused(folder: Path, images: list[Pixels], min_views: int = 3) -> Cloud:
    return fuse(write(folder, images, 1.0, 1.0), 1.0, min_views)


def test_ties_go_to_the_smaller_id_and_two_views_are_too_few(tmp_path: Path) -> None:
    tied = fused(tmp_path, [one(5, 9), one(5, 9), one(3, 8), one(3, 7)])
    assert tied.semantic.tolist() == [3] and tied.instance.tolist() == [7]
    assert tied.attributes['purity'].tolist() == [0.5] and tied.attributes['n_views'].tolist() == [4]
    assert len(fused(tmp_path, [one(1), one(1)])) == 0
    assert len(fused(tmp_path, [one(1), one(1)], 2)) == 1


def test_no_samples_at_all_is_an_empty_cloud(tmp_path: Path) -> None:
    (tmp_path / 'none').write_bytes(np.empty(0, SAMPLE).tobytes())
    cloud = fuse([tmp_path / 'none'], 0.5, 3)
    assert cloud.xyz.shape == (0, 3) and cloud.attributes['rgb'].shape == (0, 3)


def test_keys_keep_the_order_and_refuse_what_they_cannot_hold() -> None:
    index = np.array([[-3, 5, 2], [0, -7, 0], [0, 1, -1], [4, 0, 0]])
    key = pack_voxels(index)
    assert np.array_equal(unpack_voxels(key), index) and np.array_equal(np.argsort(key), np.arange(4))
    with pytest.raises(ValueError, match='larger voxel'):
        pack_voxels(np.array([[2**20, 0, 0]]))
    with pytest.raises(ValueError, match='255'):
        bin_samples(*one(255), np.ones(1, np.float32), 1.0)
