"""Rounds that are whole or absent, bytes that depend on the objects alone, caps, damage."""

from __future__ import annotations

import pickle
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch.distributed as dist

from imbdense.data.instance_bank import BankError, InstanceBank
from tests.data.instance_bank.objects import CLASSES, image_object, point_object, same, write_round
from tests.helpers.two_ranks import run_two_ranks

MANY = [image_object(n, klass=1 + n % 2) for n in range(40)]


def filled(folder, objects, shards=3, seed=0, **options):
    """A bank of one round, written in ``shards`` parts."""
    bank = InstanceBank.create(folder, CLASSES, seed=seed, **options)
    writer = bank.start_round({'what': 'test'})
    for number in range(shards):
        writer.write(f'part_{number}', objects[number::shards])
    writer.finish()
    return bank.reopened()


def tree(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob('*')) if p.is_file()}


@pytest.mark.parametrize('bands', [1, 3, 8])
@pytest.mark.parametrize('dtype', [np.uint8, np.uint16, np.float32])
def test_objects_come_back_as_they_were(tmp_path, bands, dtype):
    objects = [image_object(n, klass=n % 3, score=n / 10, bands=bands, dtype=dtype, masked=n != 4) for n in range(9)]
    bank = filled(tmp_path / 'bank', objects)
    assert len(bank) == 9 and bank.counts.tolist() == [3, 3, 3] and bank.counts.dtype == np.int64
    assert bank.dtype == dtype and bank.channels == bands and bank.classes == CLASSES
    read = [bank[number] for number in range(9)]
    assert all(any(same(item, other) for other in read) for item in objects)
    assert not read[0].values.flags.writeable, 'a view of the file'
    for klass in range(3):
        assert [bank[number].klass for number in bank.members(klass)] == [klass] * 3
    bank.verify()


def test_points(tmp_path):
    objects = [point_object(n, n % 2) for n in range(5)]
    bank = filled(tmp_path / 'bank', objects, modality='points')
    read = [bank[number] for number in range(5)]
    assert bank.modality == 'points' and bank.counts.tolist() == [3, 2, 0]
    assert all(any(same(item, other) for other in read) for item in objects)
    assert read[0].values.dtype == np.float32 and read[0].source == 'pseudo' and len(read[0].box) == 7


def test_bytes_do_not_depend_on_shards_or_their_order(tmp_path):
    one = filled(tmp_path / 'one', MANY, shards=1)
    many = filled(tmp_path / 'many', MANY[::-1], shards=7)
    twice = filled(tmp_path / 'twice', MANY + MANY[:11], shards=2)  # a padded sampler gives some images twice
    assert one.checksum == many.checksum == twice.checksum
    assert tree(tmp_path / 'one') == tree(tmp_path / 'many') == tree(tmp_path / 'twice')
    assert filled(tmp_path / 'other', MANY[1:]).checksum != one.checksum


def write_as_rank(folder: str) -> str:
    """Every rank writes its share; rank 0 merges."""
    rank, world = dist.get_rank(), dist.get_world_size()
    bank = InstanceBank.create(folder, CLASSES, capacity_per_class=15)
    writer = bank.start_round({'epoch': 0})
    for chunk in range(2):
        writer.write(f'rank_{rank}_{chunk}', MANY[rank::world][chunk::2])
    dist.barrier()
    if rank == 0:
        writer.finish()
    dist.barrier()
    return bank.reopened().checksum


def test_two_processes_write_what_one_writes(tmp_path):
    first, second = run_two_ranks(write_as_rank, str(tmp_path / 'two'))
    alone = filled(tmp_path / 'one', MANY, shards=1, capacity_per_class=15)
    assert first == second == alone.checksum and len(alone) == 30


def test_the_cap_keeps_the_highest_scores_and_a_seeded_sample_of_equal_ones(tmp_path):
    scored = [image_object(n, score=n / 100) for n in range(30)] + [image_object(99, klass=2, score=0.01)]
    bank = filled(tmp_path / 'scored', scored, capacity_per_class=4, shards=5)
    assert bank.counts.tolist() == [0, 4, 1]
    assert sorted(round(bank[n].score, 2) for n in bank.members(1)) == [0.26, 0.27, 0.28, 0.29]
    equal = [image_object(n) for n in range(200)]
    chosen = {}
    for seed in range(4):
        bank = filled(tmp_path / f'equal{seed}', equal, capacity_per_class=40, seed=seed, shards=1 + seed)
        chosen[seed] = {bank[n].identity() for n in range(len(bank))}
        assert len(chosen[seed]) == 40
    again = filled(tmp_path / 'again', equal, capacity_per_class=40, seed=2, shards=9)
    assert chosen[2] == {again[n].identity() for n in range(40)}
    assert 0 < len(chosen[0] & chosen[1]) < 25, 'another seed, another sample (8 of 40 are expected in both)'


def test_rounds_union_latest_first_and_last(tmp_path):
    bank = InstanceBank.create(tmp_path / 'bank', CLASSES)
    assert len(bank) == 0 and bank.counts.tolist() == [0, 0, 0] and bank.members(2).size == 0 and bank.dtype is None
    for number in range(3):
        writer = bank.start_round({'epoch': number})
        assert writer.number == number
        writer.write('all', [image_object(10 * number + k, klass=number) for k in range(number + 1)])
        assert len(bank.reopened().rounds) == number, 'not visible before it is complete'
        writer.finish()
    folder = tmp_path / 'bank'
    assert InstanceBank.open(folder).counts.tolist() == [1, 2, 3]
    assert InstanceBank.open(folder, 'latest').counts.tolist() == [0, 0, 3]
    assert InstanceBank.open(folder, 'first').counts.tolist() == [1, 0, 0]
    early = InstanceBank.open(folder, 'latest', last=1)
    assert early.counts.tolist() == [0, 2, 0] and early.rounds == [1]
    assert InstanceBank.open(folder, last=1).checksum != InstanceBank.open(folder).checksum
    copy = pickle.loads(pickle.dumps(early))
    assert copy.checksum == early.checksum and same(copy[1], early[1])
    assert sorted(path.name for path in folder.iterdir()) == ['bank.json', 'round_0000', 'round_0001', 'round_0002']


def test_killed_inside_a_round_goes_on_without_making_finished_shards_again(tmp_path):
    code = 'import sys; from tests.data.instance_bank.objects import write_round; write_round(sys.argv[1], 0.02)'
    work = tmp_path / 'killed' / 'round_0000.part'
    process = subprocess.Popen([sys.executable, '-c', code, str(tmp_path / 'killed')])
    deadline = time.monotonic() + 100
    while not (work / 'shard_2').is_dir() and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    made = {path.name for path in work.iterdir() if path.name.startswith('shard')}
    assert {'shard_0', 'shard_1', 'shard_2'} <= made and len(made) < 8
    assert len(InstanceBank.open(tmp_path / 'killed')) == 0, 'half a round is not visible'
    (work / '.shard_3.tmp-dead').mkdir(exist_ok=True)
    assert write_round(tmp_path / 'killed') == list(range(len(made), 8)), 'only the missing shards are made'
    whole = filled(tmp_path / 'whole', [image_object(n, klass=n // 10 % 3) for n in range(80)])
    assert InstanceBank.open(tmp_path / 'killed').checksum == whole.checksum
    assert tree(tmp_path / 'killed') == tree(tmp_path / 'whole'), 'nothing is left over'


def test_killed_inside_the_merge(tmp_path):
    """What a kill leaves there: a half-written folder under a hidden name, or the shards beside a finished round."""
    bank = InstanceBank.create(tmp_path / 'bank', CLASSES)
    writer = bank.start_round({})
    writer.write('a', MANY)
    (tmp_path / 'bank' / '.round_0000.tmp-x').mkdir()
    (tmp_path / 'bank' / '.round_0000.tmp-x' / 'data.bin').write_bytes(b'half')
    shutil.copytree(writer.work, tmp_path / 'kept')
    bank.start_round({}, number=0).finish()
    assert len(bank.reopened()) == 40
    shutil.copytree(tmp_path / 'kept', writer.work)
    with pytest.raises(BankError, match='is complete'):
        bank.start_round({}, number=0)
    assert sorted(path.name for path in (tmp_path / 'bank').iterdir()) == ['bank.json', 'round_0000']


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-20])


def flip_a_byte(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))


@pytest.mark.parametrize('name', ['data.bin', 'index.npy', 'images.json', 'manifest.json'])
@pytest.mark.parametrize('harm', [truncate, flip_a_byte, Path.unlink])
def test_a_broken_file_is_named(tmp_path, name, harm):
    filled(tmp_path / 'bank', MANY)
    harm(tmp_path / 'bank' / 'round_0000' / name)
    with pytest.raises(BankError, match=rf'round_0000/{name}.*remove'):
        bank = InstanceBank.open(tmp_path / 'bank')
        bank.verify()
        for number in range(len(bank)):
            bank[number]


def test_damage_is_found_when_an_object_is_read(tmp_path):
    filled(tmp_path / 'bank', MANY)
    flip_a_byte(tmp_path / 'bank' / 'round_0000' / 'data.bin')
    bank = InstanceBank.open(tmp_path / 'bank')
    harmed = 0
    for number in range(len(bank)):
        try:
            bank[number]
        except BankError as error:
            harmed += 1
            assert 'is damaged' in str(error) and 'data.bin' in str(error)
    assert harmed == 1


def test_another_bank_another_round_and_foreign_folders_are_refused(tmp_path):
    bank = filled(tmp_path / 'bank', MANY)
    with pytest.raises(BankError, match=r'capacity_per_class \(1000 there, 5 now\)'):
        InstanceBank.create(tmp_path / 'bank', CLASSES, capacity_per_class=5)
    bank.start_round({'checkpoint': 'a'})
    with pytest.raises(BankError, match=r'checkpoint \(a there, b now\)'):
        bank.start_round({'checkpoint': 'b'})
    bank.check_round({'what': 'test'}, number=0)
    with pytest.raises(BankError, match=r'round_0000 was made from something else: what \(test there, other now\)'):
        bank.check_round({'what': 'other'}, number=0)
    (tmp_path / 'photos').mkdir()
    (tmp_path / 'photos' / 'a.jpg').touch()
    with pytest.raises(BankError, match='not empty'):
        InstanceBank.create(tmp_path / 'photos', CLASSES)
    with pytest.raises(BankError, match='imbdense generate bank'):
        InstanceBank.open(tmp_path / 'nothing')
    with pytest.raises(ValueError, match='rounds must be one of'):
        InstanceBank.open(tmp_path / 'bank', 'newest')
    with pytest.raises(IndexError):
        bank[40]


def test_objects_that_do_not_belong_are_refused_and_leave_nothing(tmp_path):
    writer = InstanceBank.create(tmp_path / 'bank', CLASSES).start_round({})
    for wrong, words in (
        (image_object(0, klass=255), r'class 255, outside \[0, 3\)'),
        (image_object(0, score=1.5), 'score 1.5'),
        (point_object(0), 'no image object'),
    ):
        with pytest.raises(ValueError, match=words):
            writer.write('a', [wrong])
    with pytest.raises(ValueError, match='loaded alike'):
        writer.write('a', [image_object(0), image_object(1, bands=4)])
    assert [path.name for path in writer.work.iterdir()] == ['identity.json']
    writer.write('a', [image_object(0)])
    writer.write('b', [image_object(1, dtype=np.uint16)])
    with pytest.raises(ValueError, match='loaded alike'):
        writer.finish()
    assert not writer.target.exists()
    with pytest.raises(ValueError, match='letters and digits'):
        writer.write('../x', [])
