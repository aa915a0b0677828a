"""Features of rendered images on points: projection against exact instances, extractors, files."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

pytest.importorskip('mmengine')

from imbdense.data.points.errors import PointReadError
from imbdense.data.points.views import read_views
from imbdense.mm.feature_volume import HandFeatures, MultiViewFeatureVolume, build_extractor
from imbdense.mm.feature_volume.extractors import features_at, uniform_patterns


@pytest.fixture(scope='module')
def scene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A 40 m scene with images, depths and instances."""
    pytest.importorskip('open3d')
    from imbdense.data.scene import generate_scene
    from imbdense.data.scene.presets import PRESETS

    flight = {'overlap_forward': 0.3, 'overlap_side': 0.3}
    folder = tmp_path_factory.mktemp('views') / 'scene'
    generate_scene(PRESETS['tiny'].scene.changed(seed=3, flight=flight, output={'ortho': False}), folder)
    return folder


def lifted(folder: Path, number: int) -> tuple[np.ndarray, np.ndarray]:
    """Exact surface points and their instances: the pixels of one view, put back with the generator's own rays."""
    from imbdense.data.scene.camera import camera_from_record
    from imbdense.data.scene.export_images import read_png

    record = json.loads((folder / 'cameras.json').read_text())['images'][number]
    camera, stem = camera_from_record(record), Path(record['file']).stem
    with np.load(folder / 'depth' / f'{stem}.npz') as archive:
        depth = archive['depth'].reshape(-1)
    instance = read_png(folder / 'inst' / f'{stem}.png').reshape(-1).astype(np.int64)
    origin, rays = camera.rays()
    met = depth > 0
    return (origin.astype(float) + rays.astype(float) * depth[:, None])[met], instance[met]


def inner(instance: np.ndarray) -> np.ndarray:
    """Pixels whose eight neighbours are of the same instance."""
    same = np.ones(instance.shape, bool)
    padded = np.pad(instance, 1, mode='edge')
    for dy in range(3):
        for dx in range(3):
            same &= padded[dy : dy + instance.shape[0], dx : dx + instance.shape[1]] == instance
    return same


def test_a_visible_point_lies_on_the_pixel_of_its_instance(scene: Path) -> None:
    """Acceptance C: at least 99 %, borders of one pixel left out; without depths hidden points spoil it."""
    from imbdense.data.scene.export_images import read_png

    views = list(read_views(scene))
    xyz, instance = lifted(scene, 0)
    right, total, own = 0, 0, 0
    for view in views[1:]:
        seen = view.sees(xyz, border=1, tolerance=0.01)
        mask = read_png(scene / 'inst' / f'{view.image.stem}.png').astype(np.int64)
        kept = inner(mask)[seen.row, seen.column]
        right += int((mask[seen.row, seen.column] == instance[seen.point])[kept].sum())
        total += int(kept.sum())
    assert total > 5000 and right / total >= 0.99
    back = views[0].sees(xyz, border=0, tolerance=0.01)
    own = len(back.point)
    assert own >= 0.99 * len(xyz)  # every pixel sees its own point


def test_volume_of_constant_images_is_that_constant(scene: Path) -> None:
    xyz, _ = lifted(scene, 0)
    tool = MultiViewFeatureVolume(every=2, border=2)
    tool._extract = lambda image: [torch.full((3, 4, 5), 2.0), torch.ones(1, *image.shape[:2])]
    volume = tool.gather(scene, xyz)
    seen = volume.count > 0
    assert 0.1 < seen.mean() <= 1 and np.allclose(volume.result()[seen], [2, 2, 2, 1])
    assert (volume.result()[~seen] == 0).all()
    assert tool.tag == MultiViewFeatureVolume(every=2, border=2).tag != MultiViewFeatureVolume(border=2).tag


def test_what_is_wrong_with_views_is_named(tmp_path: Path) -> None:
    with pytest.raises(PointReadError, match=r'cameras\.json'):
        list(read_views(tmp_path))
    file = tmp_path / 'cameras.json'
    for text, message in (('{}', 'no list "images"'), ('{"images": []}', 'lists no image'),
                          ('{"images": [{"file": "a.png"}]}', 'no camera')):
        file.write_text(text)
        with pytest.raises(PointReadError, match=message):
            list(read_views(tmp_path))
    record = {'file': 'a.png', 'K': np.eye(3).tolist(), 'c2w': np.eye(4).tolist(), 'width': 4, 'height': 3}
    file.write_text(json.dumps({'images': [record]}))
    with pytest.raises(PointReadError, match=r'a\.png: is named in'):
        list(read_views(tmp_path))


def test_hand_features_see_colour_and_texture() -> None:
    patterns = uniform_patterns(torch.tensor([[0.0, 0, 0], [0, 1, 0], [0, 0, 0]]))
    assert patterns[1, 1] == 0  # no neighbour as bright
    assert (uniform_patterns(torch.zeros(4, 4)) == 8).all()
    rng = np.random.default_rng(0)
    flat = np.full((20, 20, 3), 90, np.uint8)
    rough = rng.integers(0, 180, (20, 20, 1)).repeat(3, 2).astype(np.uint8)
    a, b = (HandFeatures(5)(image)[0][:, 10, 10] for image in (flat, rough))
    assert a.shape == (16,) and torch.allclose(a[:3], torch.full((3,), 90 / 255 - 0.5))
    assert (a[6:] - b[6:]).abs().max() > 0.3
    with pytest.raises(ValueError, match='odd'):
        HandFeatures(4)
    with pytest.raises(ValueError, match='extractor must be'):
        build_extractor('sift')


def test_maps_are_read_as_if_they_were_enlarged() -> None:
    small = torch.rand(2, 6, 8)
    row, column = (axis.ravel() for axis in np.mgrid[0:24, 0:32])
    found = features_at([small], row, column, (24, 32))
    whole = torch.nn.functional.interpolate(small[None], (24, 32), mode='bicubic', align_corners=False)[0]
    assert np.allclose(found.reshape(24, 32, 2), whole.permute(1, 2, 0).numpy(), atol=1e-5)


def test_any_backbone_of_the_host() -> None:
    pytest.importorskip('mmseg')
    extract = build_extractor({'backbone': {'type': 'mmseg.MobileNetV2', 'out_indices': (0, 2)}, 'layers': [0, -1]})
    maps = extract(np.zeros((64, 96, 3), np.uint8) + 7)
    assert [tuple(item.shape) for item in maps] == [(16, 32, 48), (32, 8, 12)]
    assert torch.allclose(maps[1].norm(dim=0), torch.ones(8, 12), atol=1e-4)
