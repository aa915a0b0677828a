"""Blocks, buckets and votes: every point is covered, any chunk gives the same, files tell what is finished."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from imbdense.data.points import PointCloud, PointReadError
from imbdense.data.points.tiles import BlockLattice, PointBuckets, VoteStore, make_buckets
from imbdense.data.points.write import write_points

LATTICE = BlockLattice(20.0, 8.0, 2.5, margin=3.0)


def cloud(number: int, seed: int = 0, corner: float = 700_000.0) -> PointCloud:
    rng = np.random.default_rng(seed)
    xyz = rng.uniform((0, 0, 0), (70, 45, 5), (number, 3)) + [corner, 5e6, 30]
    return PointCloud(xyz, {'intensity': rng.random(number).astype(np.float32)})


def bucketed(folder: Path, clouds: list[PointCloud], chunk: int = 10_000) -> PointBuckets:
    paths = [folder / f'{number}.npz' for number in range(len(clouds))]
    for path, one in zip(paths, clouds):
        write_points(path, one)
    return make_buckets(
        folder / 'work', paths, LATTICE, lambda c, _: {'intensity': c.attributes['intensity'][:, None]},
        lambda _: None, chunk=chunk,
    )  # fmt: skip


@pytest.mark.parametrize('sizes', [(20, 8, 4, 0), (20, 10, 5, 3), (50, 25, 6, 30), (10, 0, 0, 0), (9, 7.5, 3.1, 1)])
def test_every_point_is_voted_on_by_the_blocks_that_are_named(sizes: tuple[float, ...]) -> None:
    lattice = BlockLattice(*sizes)
    xyz = np.random.default_rng(1).uniform(-200, 200, (40, 3))
    for point, cell in zip(xyz, lattice.cells(xyz)):
        named = lattice.voters(tuple(cell))
        votes = [block for block in named if lattice.inside(block, point[None], -lattice.halo)[0]]
        assert votes
        around = [(i, j) for i in range(cell[0] - 9, cell[0] + 9) for j in range(cell[1] - 9, cell[1] + 9)]
        assert votes == [b for b in around if lattice.inside(b, point[None], -lattice.halo)[0]]
        for block in votes:
            assert tuple(cell) in lattice.cells_of(block)


def test_a_block_reads_exactly_its_points(tmp_path: Path) -> None:
    first, second = cloud(4000), cloud(3000, 1, corner=700_060.0)
    buckets = bucketed(tmp_path, [first, second])
    xyz = np.concatenate((first.xyz, second.xyz))
    values = np.concatenate((first.attributes['intensity'], second.attributes['intensity']))
    assert buckets.files == (4000, 3000) and len(buckets) == 7000
    for block in LATTICE.blocks(map(tuple, buckets.cells.tolist()))[::3]:
        places, records = buckets.read(buckets.spans(LATTICE.cells_of(block)))
        near = LATTICE.inside(block, records['xyz'], LATTICE.margin)
        assert set(records['index'][near]) == set(np.flatnonzero(LATTICE.inside(block, xyz, LATTICE.margin)))
        assert (np.diff(places) > 0).all()
        np.testing.assert_array_equal(records['xyz'], xyz[records['index']])
        np.testing.assert_array_equal(records['intensity'][:, 0], values[records['index']])


def test_chunks_do_not_matter(tmp_path: Path) -> None:
    stored = []
    for chunk in (37, 1000, 10**6):
        folder = tmp_path / str(chunk)
        folder.mkdir()
        buckets = bucketed(folder, [cloud(1500), cloud(10, 5)], chunk)
        stored.append((buckets.file.read_bytes(), buckets.starts.tolist()))
    assert stored[0] == stored[1] == stored[2]


def test_an_unfinished_sort_is_begun_anew_and_a_finished_one_is_not(tmp_path: Path) -> None:
    whole = bucketed(tmp_path, [cloud(500)]).file.read_bytes()
    (tmp_path / 'work' / 'points.npz').unlink()
    (tmp_path / 'work' / 'points.bin').write_bytes(whole[:1000])
    again = bucketed(tmp_path, [cloud(500)])
    assert again.file.read_bytes() == whole
    paths = [tmp_path / 'gone.npz']
    opened = make_buckets(tmp_path / 'work', paths, LATTICE, lambda c, _: {}, lambda _: None)
    assert opened.columns == {'intensity': 1} and len(opened) == 500


def test_bad_files_are_named(tmp_path: Path) -> None:
    bad = cloud(100)
    bad.attributes['intensity'][3] = np.nan
    with pytest.raises(PointReadError, match=r'0\.npz.*1 points whose intensity is NaN'):
        bucketed(tmp_path, [bad])
    one, other = cloud(10), cloud(10)
    with pytest.raises(PointReadError, match=r'1\.npz: has EPSG:25832, but .*0\.npz has EPSG:2154'):
        bucketed(tmp_path, [one.replace(crs='EPSG:2154'), other.replace(crs='EPSG:25832')])
    with pytest.raises(PointReadError, match=r'1\.npz: has no coordinate system, but .*0\.npz has EPSG:2154'):
        bucketed(tmp_path, [one.replace(crs='EPSG:2154'), other])
    with pytest.raises(ValueError, match='half of what blocks share'):
        BlockLattice(20, 8, 5)
    with pytest.raises(ValueError, match=r'--overlap must be in \[0, 20\)'):
        BlockLattice(20, 20, 5)


def test_votes_are_averaged_in_any_order(tmp_path: Path) -> None:
    buckets = bucketed(tmp_path, [cloud(3000)])
    blocks = LATTICE.blocks(map(tuple, buckets.cells.tolist()))
    rng = np.random.default_rng(0)
    said = {}
    for block in blocks:
        places, records = buckets.read(buckets.spans(LATTICE.cells_of(block)))
        voted = LATTICE.inside(block, records['xyz'], -LATTICE.halo)
        said[block] = places[voted], rng.dirichlet(np.ones(3), voted.sum()).astype(np.float32)
    means = []
    for number, order in enumerate((blocks, blocks[::-1])):
        store = VoteStore(tmp_path / f'votes{number}', 3)
        for block in order:
            store.write(block, *said[block])
        assert store.unfinished(blocks) == []
        means.append(np.concatenate([store.mean(buckets, LATTICE, tuple(cell)) for cell in buckets.cells.tolist()]))
    assert (means[0] == means[1]).all()
    total, count = np.zeros((3000, 3)), np.zeros((3000, 1))
    for places, values in said.values():
        total[places] += values
        count[places] += 1
    np.testing.assert_allclose(means[0], total / count, atol=1e-5)
    assert count.min() == 1 and count.max() >= 4


def test_lost_votes_and_nan_are_named(tmp_path: Path) -> None:
    buckets = bucketed(tmp_path, [cloud(50)])
    store = VoteStore(tmp_path / 'votes', 3)
    cell = tuple(buckets.cells[0].tolist())
    with pytest.raises(ValueError, match='have no vote'):
        store.mean(buckets, LATTICE, cell)
    with pytest.raises(ValueError, match='gives NaN for points of block'):
        store.write((0, 0), np.arange(2), np.full((2, 3), np.nan, np.float32))
    with pytest.raises(ValueError, match=r'expected probabilities \(2, 3\)'):
        store.write((0, 0), np.arange(2), np.ones((2, 4), np.float32))
    assert store.unfinished([(0, 0)]) == [(0, 0)]
