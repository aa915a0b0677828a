"""Miniature copies of the point data sets as they are downloaded: tiny files, exact in structure."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from imbdense.data.points import PointCloud, write_points
from imbdense.data.points.layouts import stpls3d


def cloud(codes: object, seed: int = 0, count: int = 40, **attributes: np.ndarray) -> PointCloud:
    """Random points whose labels go through ``codes`` in turn."""
    rng = np.random.default_rng(seed)
    labels = np.resize(np.asarray(codes, np.int64), count)
    colours = {'rgb': rng.integers(0, 256, (count, 3)).astype(np.uint8)}
    instance = np.where(labels % 3 == 0, -1, labels)
    return PointCloud(np.round(rng.random((count, 3)) * 20, 3), {**colours, **attributes}, labels, instance)


def text(path: Path, content: object) -> None:
    """Text, or JSON for anything else."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content))


def make_stpls3d(root: Path) -> None:
    for seed, site in enumerate(('OCCC', 'RA', 'USC', 'WMSC')):
        one = cloud((0, 1, 2, 5, 11, 14), seed)
        write_points(root / f'RealWorldData/{site}_points.ply', one.replace(instance=None))


def add_stpls3d_synthetic(root: Path) -> None:
    """Rendered clouds; text with 8 columns and without header, as of the instance benchmark."""
    for version in (1, 2):
        write_points(root / f'Synthetic_v{version}/{version}_a.ply', cloud(range(20)))
    (root / stpls3d.INSTANCES).mkdir(parents=True)
    for number in (1, 4, 5, 10, 26):
        stpls3d.write(root / stpls3d.INSTANCES / f'{number}_points_GTv3.txt', cloud(range(20), number))


def make_s3dis(root: Path) -> None:
    for area in range(1, 7):
        for room, names in (('office_1', ('chair_1', 'wall_1', 'wall_2')), ('hallway_2', ('floor_1', 'stairs_1'))):
            for seed, name in enumerate(names):
                one = cloud((0,), seed + 10 * area, count=7)
                lines = [f'{x} {y} {z} {r} {g} {b}' for (x, y, z), (r, g, b) in zip(one.xyz, one.attributes['rgb'])]
                text(root / f'Area_{area}/{room}/Annotations/{name}.txt', '\n'.join(lines) + '\n')


def make_scannet(root: Path) -> None:
    names = {'train': ['scene0000_00', 'scene0001_00'], 'val': ['scene0002_00']}
    for split, scans in names.items():
        text(root / f'scannetv2_{split}.txt', '\n'.join(scans) + '\n')
        for seed, scan in enumerate(scans):
            folder = root / 'scans' / scan
            one = cloud((1, 5, 40, 0), seed)
            write_points(folder / f'{scan}_vh_clean_2.ply', one.replace(semantic=None, instance=None))
            labels = PointCloud(one.xyz, {**one.attributes, 'label': one.semantic.astype(np.uint16)})
            write_points(folder / f'{scan}_vh_clean_2.labels.ply', labels)
            text(folder / f'{scan}_vh_clean_2.0.010000.segs.json', {'segIndices': [10 * (i % 4) for i in range(40)]})
            groups = [{'objectId': 0, 'segments': [0], 'label': 'wall'},
                      {'objectId': 1, 'segments': [10, 20], 'label': 'office chair'}]
            text(folder / f'{scan}.aggregation.json', {'segGroups': groups})
    table = 'id\traw_category\tcategory\tnyu40id\n1\twall\twall\t1\n10\toffice chair\tchair\t5\n'
    text(root / 'scannetv2-labels.combined.tsv', table)


def add_scannet_test(root: Path) -> None:
    """A scan without labels."""
    text(root / 'scannetv2_test.txt', 'scene0700_00\n')
    bare = cloud((0,)).replace(semantic=None, instance=None)
    write_points(root / 'scans_test/scene0700_00/scene0700_00_vh_clean_2.ply', bare)


def make_toronto3d(root: Path) -> None:
    for number in range(1, 5):
        one = cloud(range(9), number)
        far = one.xyz + [627_285, 4_841_948, 0]
        scalars = {'scalar_Intensity': np.arange(40, dtype=np.float32), 'scalar_Label': one.semantic.astype(np.float32)}
        write_points(root / f'L00{number}.ply', PointCloud(far, {**one.attributes, **scalars}))


def make_dales(root: Path) -> None:
    tiles = {'train': ['5080_54435_new', '5145_54340_new', '5095_54455_new', '5110_54475_new'], 'test': ['5080_54470']}
    for split, names in tiles.items():
        for seed, name in enumerate(names):
            one = cloud(range(9), seed)
            labels = {'sem_class': one.semantic.astype(np.int32), 'ins_class': one.semantic.astype(np.int32)}
            path = root / split / f'{name}.ply'
            write_points(path, PointCloud(one.xyz, {'intensity': np.ones(40, np.float32), **labels}))
            path.write_bytes(path.read_bytes().replace(b'element vertex', b'element testing'))


def make_semantickitti(root: Path) -> None:
    codes = np.array([0, 10, 252, 40, 60, 70, 81, 259], np.uint32)
    for number in (0, 1, 8, 11):
        folder = root / f'sequences/{number:02d}'
        for scan in range(2):
            points = np.random.default_rng(scan).random((16, 4)).astype('<f4')
            (folder / 'velodyne').mkdir(parents=True, exist_ok=True)
            points.tofile(folder / f'velodyne/{scan:06d}.bin')
            if number < 11:
                (folder / 'labels').mkdir(exist_ok=True)
                packed = np.resize(codes, 16) | (np.arange(16, dtype=np.uint32) // 4 << 16)
                packed.astype('<u4').tofile(folder / f'labels/{scan:06d}.label')


def make_ign_lidar_hd(root: Path) -> None:
    for split, names in (('train', ('a', 'b')), ('val', ('c',))):
        for seed, name in enumerate(names):
            one = cloud((1, 2, 3, 4, 5, 6, 17, 64, 66, 67), seed).replace(instance=None)
            write_points(root / split / f'{name}.las', one)


def make_aerial_scenes(root: Path) -> None:
    """What `imbdense generate clouds` writes; it needs no recipe."""
    for split, number in (('train', 0), ('val', 1)):
        path = f'scenes/scene_{number:03d}/cloud.npz'
        write_points(root / path, cloud(range(20), number))
        text(root / f'splits/{split}.txt', f'{path}\n')


def make_urb3dcd(root: Path) -> None:
    """Folders of different splits with the same names; the labels of epoch 1 hold a code that is no class."""
    for split, pairs in (('TrainLarge', ('Lyon0', 'Lyon1')), ('Val', ('Lyon0',)), ('Test', ('Lyon0',))):
        for pair in pairs:
            for number in (0, 1):
                rows = '\n'.join(f'{x} {x % 3} {number} {9 if number == 0 and x == 3 else x % 7}.0' for x in range(20))
                file = root / split / pair / f'pointCloud{number}.ply'
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text('ply\nformat ascii 1.0\nelement params 20\nproperty float x\nproperty float y\n'
                                f'property float z\nproperty float label_ch\nend_header\n{rows}\n')


POINT_FOLDERS = {
    'stpls3d': make_stpls3d, 's3dis': make_s3dis, 'scannet': make_scannet, 'scannet200': make_scannet,
    'toronto3d': make_toronto3d, 'dales': make_dales, 'semantickitti': make_semantickitti,
    'ign_lidar_hd': make_ign_lidar_hd, 'urb3dcd': make_urb3dcd,
}
"""Name of a data set -> function that fills a folder."""
