"""Kinds of change of a pair by hand, and a data set of them that needs no further word."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from imbdense.cli.main import run_verb
from imbdense.data.change.kinds import KindTable, kind_table, read_lut
from imbdense.data.readers.labels import LabelFormat, read_label
from tests.data.change.pair_files import LAND_COVER, write_pairs

CHANGE = np.array([[0, 1, 1, 1, 255]])
BEFORE = np.array([[0, 0, 1, 255, 0]])
AFTER = np.array([[0, 1, 0, 1, 1]])


def test_by_hand() -> None:
    to = kind_table('to', ('a', 'b', 'c'), occurring=[1, 3])
    assert to.names == ('unchanged', 'to a', 'to b')
    assert to.kinds(CHANGE, (BEFORE, AFTER)).tolist() == [[0, 2, 1, 255, 255]]
    both = kind_table('from_to', ('a', 'b', 'c'), occurring=[1, 3])
    assert both.names == ('unchanged', 'a -> b', 'b -> a')
    assert both.kinds(CHANGE, (BEFORE, AFTER)).tolist() == [[0, 1, 2, 255, 255]]
    assert both.kinds(np.array([[1]]), (np.array([[2]]), np.array([[0]]))).tolist() == [[255]], 'it never occurred'


def test_a_table_of_ones_own(tmp_path: Path) -> None:
    path = tmp_path / 'kinds.csv'
    path.write_text('0,1\n2,0\n')
    table = kind_table(str(path), ('a', 'b'), names=('same', 'loss', 'gain'))
    assert isinstance(table, KindTable) and table.names == ('same', 'loss', 'gain')
    assert table.kinds(CHANGE, (BEFORE, AFTER)).tolist() == [[0, 1, 2, 255, 255]]
    assert kind_table(str(path), ('a', 'b')).names == ('unchanged', 'kind 1', 'kind 2')
    with pytest.raises(ValueError, match='names are'):
        kind_table(str(path), ('a', 'b'), names=('same',))
    with pytest.raises(ValueError, match='expected 3 x 3 kinds'):
        kind_table(str(path), ('a', 'b', 'c'))
    with pytest.raises(ValueError, match='0 kinds of change occur'):
        kind_table('to', ('a', 'b'))
    assert len(kind_table('alpine', [f'{k}' for k in range(23)]).names) == 9


def test_a_data_set_of_kinds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, out = write_pairs(tmp_path / 'pairs'), tmp_path / 'kinds'
    command = ['change-kinds', str(source), '--by', 'to', '--out', str(out)]
    assert run_verb('prepare', command) == 0
    assert '% of the change' in capsys.readouterr().out
    record = json.loads((out / 'dataset.json').read_text())
    assert record['classes'] == ['unchanged', *(f'to {name}' for name in LAND_COVER)]
    change, t1, t2 = (read_label(source / folder / '000.png', LabelFormat.of(LAND_COVER))
                      for folder in ('label_change', 'label_t1', 'label_t2'))
    found = read_label(out / 'label_change' / '000.png', LabelFormat.of(tuple(record['classes'])))
    known = (change == 1) & (t1 != 255) & (t2 != 255)
    assert np.array_equal(found[known], t2[known] + 1)
    assert (found[change == 0] == 0).all() and (found[change == 255] == 255).all()
    assert (out / 't1' / '003.png').read_bytes() == (source / 't1' / '003.png').read_bytes()
    before = (out / 'label_change' / '000.png').stat().st_mtime_ns
    assert run_verb('prepare', command) == 0, 'goes on where it was'
    assert (out / 'label_change' / '000.png').stat().st_mtime_ns == before
    assert run_verb('prepare', ['change-kinds', str(source), '--by', 'from_to', '--out', str(out)]) == 2
    capsys.readouterr()
    (source / 'dataset.json').write_text('{"classes": ["unchanged", "changed"]}')
    assert run_verb('prepare', ['change-kinds', str(source), '--by', 'to', '--out', str(tmp_path / 'none')]) == 2
    assert 'names no land_cover' in capsys.readouterr().err


def test_the_data_set_reads_it_as_direct(tmp_path: Path) -> None:
    pytest.importorskip('mmseg')
    from imbdense.mm.datasets.statistics import class_counts
    from imbdense.registry import DATASETS

    source, out = write_pairs(tmp_path / 'pairs'), tmp_path / 'kinds'
    assert run_verb('prepare', ['change-kinds', str(source), '--by', 'from_to', '--out', str(out)]) == 0
    config = {'type': 'imbdense.ChangePairDataset', 'data_root': str(out), 'ann_file': 'splits/train.txt', 'pipeline': [
        {'type': 'imbdense.LoadChangePair'}, {'type': 'imbdense.PackChangeInputs'}]}
    kinds = DATASETS.build(config)
    assert kinds.mode == 'direct' and all(' -> ' in name for name in kinds.metainfo['classes'][1:])
    binary = DATASETS.build(config | {'data_root': str(source), 'mode': 'binary'})
    both = [class_counts(item).of('pixels') for item in (kinds, binary)]
    assert both[0][0] == both[1][0] and both[0][1:].sum() == both[1][1]
    assert kinds[0]['data_samples'].gt_sem_seg.data.max() > 1


def test_a_rule_or_table_that_is_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = write_pairs(tmp_path / 'pairs')
    assert run_verb('prepare', ['change-kinds', str(source), '--by', 'form_to', '--out', str(tmp_path / 'out')]) == 2
    assert "'form_to' is no rule of kinds: expected 'to', 'from_to', 'alpine'" in capsys.readouterr().err
    with pytest.raises(ValueError, match=r'nowhere\.csv: there is no such file'):
        read_lut('nowhere.csv', 2)
    path = tmp_path / 'kinds.csv'
    path.write_text('a,b\n0,1\n2,0\n')
    with pytest.raises(ValueError, match=r'kinds\.csv: expected rows of whole numbers'):
        read_lut(str(path), 2)


def test_what_is_missing_is_told_without_a_facts_sheet_that_is_not_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, out = tmp_path / 'empty', tmp_path / 'out'
    source.mkdir()
    assert run_verb('prepare', ['change-kinds', str(source), '--by', 'to', '--out', str(out)]) == 2
    told = capsys.readouterr().err
    assert 'names no land_cover' in told and 'Facts sheet' not in told
