"""The cache under bad luck: killed, damaged, unwritable, full, two at once."""

import logging
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from imbdense.data.readers import LabelFormat
from imbdense.data.scan import scan_labels
from imbdense.data.scan.cache import ScanCache
from imbdense.data.scan.records import LabelRecords
from imbdense.utils import files as file_helpers
from tests.data.label_files import CLASSES, write_labels

FORMAT = LabelFormat.of(CLASSES)

SLOW_SCAN = """
import sys, time
from pathlib import Path
from imbdense.data.readers import LabelFormat
from imbdense.data.scan import scan_labels, scanner
scanner.PART_SECONDS = 0.0
scanner.CHUNK = 2
inner = scanner.scan_files
def slow(*arguments):
    time.sleep(0.2)
    return inner(*arguments)
scanner.scan_files = slow
files = sorted(Path(sys.argv[1]).glob('*.png'))
scan_labels(files, LabelFormat.of(('sky', 'road', 'car', 'sign')), workers=int(sys.argv[2]))
"""


@pytest.mark.parametrize('workers', [1, 2])
def test_kill_during_a_scan_then_resume_gives_the_same_bytes(tmp_path, workers):
    write_labels(tmp_path / 'a', 40)
    shutil.copytree(tmp_path / 'a', tmp_path / 'b')  # copies keep size and mtime
    process = subprocess.Popen([sys.executable, '-c', SLOW_SCAN, str(tmp_path / 'a'), str(workers)])
    cache = tmp_path / 'a' / '.imbdense'
    deadline = time.monotonic() + 60
    while not list(cache.glob('*.part/*.npz')):
        assert time.monotonic() < deadline, 'the scan wrote no part'
        assert process.poll() is None, 'the scan ended too early'
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not list(cache.glob('labels-*.npz'))
    resumed = scan_labels(sorted((tmp_path / 'a').glob('*.png')), FORMAT, workers=1)
    whole = scan_labels(sorted((tmp_path / 'b').glob('*.png')), FORMAT, workers=1)
    assert 0 < resumed.fresh < 40
    assert resumed.cache_file.read_bytes() == whole.cache_file.read_bytes()
    for name in ('class_counts.json',):
        assert (tmp_path / 'a' / name).read_bytes() == (tmp_path / 'b' / name).read_bytes()
    assert not list(cache.glob('*.part')), 'the parts are removed'


def test_interrupt_keeps_what_was_counted(tmp_path, monkeypatch):
    from imbdense.data.scan import scanner

    files = write_labels(tmp_path, 6)
    monkeypatch.setattr(scanner, 'CHUNK', 2)
    inner, calls = scanner.scan_files, []

    def interrupted(*arguments):
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return inner(*arguments)

    monkeypatch.setattr(scanner, 'scan_files', interrupted)
    with pytest.raises(KeyboardInterrupt):
        scan_labels(files, FORMAT, workers=1)
    monkeypatch.setattr(scanner, 'scan_files', inner)
    assert scan_labels(files, FORMAT, workers=1).fresh == 2


def _scan(folder: str, queue: multiprocessing.Queue) -> None:
    found = scan_labels(sorted(Path(folder).glob('*.png')), FORMAT, workers=1)
    queue.put((found.counts.to_json(), found.fresh))


def test_two_processes_at_once_both_get_the_result_and_one_does_the_work(tmp_path):
    write_labels(tmp_path, 60)
    context = multiprocessing.get_context('fork')
    queue = context.Queue()
    processes = [context.Process(target=_scan, args=(str(tmp_path), queue)) for _ in range(2)]
    for process in processes:
        process.start()
    results = [queue.get(timeout=60) for _ in processes]
    for process in processes:
        process.join()
    assert results[0][0] == results[1][0]
    assert sorted(fresh for _, fresh in results) == [0, 60]


def test_without_file_locks_both_still_succeed(tmp_path, monkeypatch):
    import fcntl

    def refuse(*arguments):
        raise OSError('no locks on this file system')

    monkeypatch.setattr(fcntl, 'flock', refuse)
    assert scan_labels(write_labels(tmp_path, 3), FORMAT, workers=1).fresh == 3


@pytest.mark.parametrize('damage', [b'', b'PK\x03\x04 garbage', None])
def test_a_damaged_cache_is_a_warning_and_read_anew(tmp_path, caplog, damage):
    files = write_labels(tmp_path, 3)
    first = scan_labels(files, FORMAT, workers=1)
    good = first.cache_file.read_bytes()
    first.cache_file.write_bytes(good[: len(good) // 2] if damage is None else damage)
    with caplog.at_level(logging.WARNING, logger='imbdense'):
        again = scan_labels(files, FORMAT, workers=1)
    assert 'is damaged' in caplog.text
    assert again.fresh == 3
    assert again.cache_file.read_bytes() == good


def test_a_folder_that_cannot_be_written_uses_the_users_cache(tmp_path, monkeypatch):
    files = write_labels(tmp_path / 'labels', 3)
    (tmp_path / 'labels' / '.imbdense').write_text('a file where the folder would be')
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'home'))
    found = scan_labels(files, FORMAT, workers=1)
    assert tmp_path / 'home' / 'imbdense' in found.cache_file.parents
    assert found.counts_file.parent == found.cache_file.parent
    assert scan_labels(files, FORMAT, workers=1).fresh == 0


def test_no_place_at_all_still_counts(tmp_path, monkeypatch, caplog):
    files = write_labels(tmp_path / 'labels', 3)
    (tmp_path / 'labels' / '.imbdense').write_text('')
    (tmp_path / 'home').write_text('')
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'home'))
    found = scan_labels(files, FORMAT, workers=1)
    assert found.cache_file is None
    assert found.counts.pixels.sum() > 0
    assert 'without a cache' in caplog.text


def test_a_full_disk_is_a_warning_that_names_the_file(tmp_path, monkeypatch, caplog):
    files = write_labels(tmp_path, 3)

    def full(*arguments):
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr(file_helpers.os, 'fsync', full)
    found = scan_labels(files, FORMAT, workers=1)
    assert found.counts.pixels.sum() > 0
    assert 'No space left on device' in caplog.text
    assert '.npz' in caplog.text
    assert not list(tmp_path.glob('.imbdense/*.npz'))
    assert not list(tmp_path.rglob('*.tmp-*'))


def test_records_survive_the_round_trip_and_unusual_names(tmp_path):
    folder = tmp_path / 'Ordner mit Ümlaut'
    found = scan_labels(write_labels(folder, 3), FORMAT, workers=1)
    loaded = LabelRecords.load(str(found.cache_file))
    assert loaded.paths == ('000.png', '001.png', '002.png')
    assert loaded.pixels.tolist() == found.records.pixels.tolist()
    assert LabelRecords.concat([loaded.take([2]), loaded.take([0])]).paths == ('002.png', '000.png')
    assert len(ScanCache(str(folder), 'other').load()) == 0
