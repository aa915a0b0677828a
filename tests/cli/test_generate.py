from __future__ import annotations

import json
from pathlib import Path

import pytest

from imbdense.cli.main import main

FAST = ['--preset', 'tiny', '--cfg-options', 'mix.correction_rounds=0', 'flight.pattern=nadir',
        'flight.overlap_side=0.2', 'flight.overlap_forward=0.2']


def test_generate_scenes_end_to_end(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip('open3d')
    out = tmp_path / 'set'
    assert main(['generate', 'scenes', '--out', str(out), '--num', '1', '--seed', '4', '--profile',
                 'high_vegetation=20,vehicle=5,bike=1', '--imbalance-ratio', '30', '--mapping', 'full', *FAST]) == 0
    record = json.loads((out / 'dataset.json').read_text())
    assert record['seed'] == 4 and record['config']['mix']['imbalance_ratio'] == 30
    assert record['plan'] == {'scenes': 1, 'val': 0, 'mapping': 'full', 'full': False}
    text = capsys.readouterr().out
    assert 'scene_000' in text and 'imbalance ratio' in text and 'vehicle' in text


@pytest.mark.parametrize(('arguments', 'words'), [
    (['--imbalance-ratio', '0.1'], 'mix.imbalance_ratio'),
    (['--profile', 'balanced', '--imbalance-ratio', '10'], 'cannot be reached'),
    (['--profile', 'vehicle=many'], 'class=number'),
    (['--profile', 'cars=1,bike=2'], 'no object class'),
    (['--num', '0'], 'scenes'),
    (['--workers', '0'], '--workers'),
    (['--num', '2', '--val', '2'], 'val=2'),
    (['--cfg-options', 'flight.agll=40'], "did you mean 'agl'"),
    (['--cfg-options', 'flight'], 'KEY=VALUE'),
    (['--cfg-options', 'a.b.c=1'], 'a.b.c'),
    (['--cfg-options', 'layout.geojson=/no/such.geojson'], '/no/such.geojson'),
])
def test_wrong_use_is_one_message_and_exit_code_2(tmp_path: Path, capsys: pytest.CaptureFixture[str],
                                                  arguments: list[str], words: str) -> None:
    assert main(['generate', 'scenes', '--out', str(tmp_path / 'x'), '--preset', 'tiny', *arguments]) == 2
    error = capsys.readouterr().err
    assert words in error and 'Traceback' not in error
    assert not (tmp_path / 'x').exists()


OTHER = {
    'scenes': (['--num', '1', *FAST], ['--imbalance-ratio', '77'], 'config.mix.imbalance_ratio'),
    'pairs': (['--num', '1', '--preset', 'tiny', '--size', '48', '--tile', '96'], ['--change-share', '0.2'],
              'config.change_share is 0.05 there, but 0.2 is asked'),
    'clouds': (['--num', '1', '--preset', 'small', '--mode', 'lidar', '--size', '32', '--density', '1'],
               ['--density', '2'], 'config.lidar.density is 1.0 there, but 2.0 is asked'),
    'cloud-pairs': (['--num', '1', '--preset', 'small-lidar', '--size', '32', '--density', '1'], ['--num', '2'],
                    'plan.scenes is 1 there, but 2 is asked'),
    'lidar': (['--train', '1', '--val', '1'], ['--setup', 'beams32'],
              'setup.sensor.beams is 64 there, but 32 is asked'),
}


@pytest.mark.parametrize('kind', list(OTHER))
def test_a_folder_of_other_data_is_neither_replaced_nor_mixed(
    kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip('open3d')
    pytest.importorskip('rasterio')
    options, dial, words = OTHER[kind]
    command = ['generate', kind, '--out', str(tmp_path / 'set'), *options]
    assert main(command) == 0 == main(command)
    before = {path: path.read_bytes() for path in (tmp_path / 'set').rglob('*') if path.is_file()}
    for other, named in ((['--seed', '9'], 'seed is 0 there, but 9 is asked'), (dial, words)):
        capsys.readouterr()
        assert main([*command, *other]) == 2
        error = capsys.readouterr().err
        assert named in error and str(tmp_path / 'set') in error and 'Choose another folder' in error
    assert {path: path.read_bytes() for path in (tmp_path / 'set').rglob('*') if path.is_file()} == before


def test_unwritable_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / 'file').write_text('')
    assert main(['generate', 'scenes', '--out', str(tmp_path / 'file' / 'x'), '--num', '1', *FAST]) == 2
    assert 'cannot use' in capsys.readouterr().err


def test_generate_pairs_end_to_end(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip('open3d')
    pytest.importorskip('rasterio')
    out = tmp_path / 'pairs'
    assert main(['generate', 'pairs', '--out', str(out), '--preset', 'tiny', '--num', '1', '--size', '48', '--tile',
                 '96', '--change-share', '0.1', '--misregistration', '1', '--imbalance-ratio', '20']) == 0
    record = json.loads((out / 'dataset.json').read_text())
    assert record['config']['misregistration'] == 1 and record['plan'] == {'scenes': 1, 'val': 0, 'tile': 96}
    assert record['config']['scene']['mix']['imbalance_ratio'] == 20
    assert record['change_share']['train'] == pytest.approx(0.1, rel=0.1)
    assert 'bare_soil' in capsys.readouterr().out


@pytest.mark.parametrize(('arguments', 'words'), [
    (['--change-share', '0.9'], 'change_share'), (['--tile', '100'], 'do not divide'), (['--workers', '0'], 'workers'),
])
def test_wrong_pair_options_say_what_is_wrong(arguments: list[str], words: str, tmp_path: Path,
                                              capsys: pytest.CaptureFixture[str]) -> None:
    assert main(['generate', 'pairs', '--out', str(tmp_path / 'x'), '--preset', 'tiny', *arguments]) == 2
    assert words in capsys.readouterr().err
