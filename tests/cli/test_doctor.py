"""The doctor: crashes stay in their process, bad combinations are named, every fault comes with a command."""

from __future__ import annotations

import json
import re
import sys
from typing import Any

import pytest

from imbdense.cli import doctor
from imbdense.cli.main import main
from imbdense.utils import combinations, probes
from imbdense.utils.combinations import Installed
from imbdense.utils.probes import Outcome, Probe

HEALTHY: dict[str, dict[str, str]] = {
    'torch': {'torch': '2.13.0+cpu'}, 'numpy': {'numpy': '2.2.6'}, 'setuptools': {'setuptools': '80.10.2'},
    'cv2': {'opencv-python': '4.12.0.88', 'opencv-python-headless': '4.12.0.88'},
    'mmengine': {'onedl-mmengine': '0.10.12'}, 'mmcv': {'onedl-mmcv': '2.3.6'}, 'mmdet': {'onedl-mmdetection': '3.5.1'},
    'mmseg': {'onedl-mmsegmentation': '1.4.2'}, 'albumentations': {'albumentations': '2.0.8'},
}


def probe(code: str, module: str = 'sys', group: str = 'base', name: str = '') -> Probe:
    return Probe(module, group, code, 'pip install "something"', 'a test', name)


def outcome(label: str, state: str, output: str = '', group: str = 'mm') -> Outcome:
    return Outcome(probe('', module=label, group=group), state, output.splitlines()[-1] if output else '', output)


def facts(changed: dict[str, dict[str, str]] | None = None, *outcomes: Outcome) -> Installed:
    return Installed({**HEALTHY, **(changed or {})}, {item.probe.label: item for item in outcomes})


def test_each_way_to_fail_is_told_apart_and_the_others_go_on() -> None:
    crash = 'import os, signal; os.kill(os.getpid(), signal.SIGSEGV)'
    found = probes.run_probes([
        probe('print("all well")'), probe(crash), probe('raise ImportError("libX.so: no")'),
        probe('', module='no_such_module_here'),
    ])
    assert [item.state for item in found] == ['works', 'crashed', 'broken', 'absent']
    assert found[0].detail == 'all well'
    assert found[1].detail == 'killed by SIGSEGV'
    assert found[2].detail == 'ImportError: libX.so: no'


def test_a_library_that_hangs_is_given_up() -> None:
    assert probes.run_probe(probe('import time; time.sleep(60)'), timeout=1).state == 'timeout'


def test_a_healthy_environment_has_no_problem() -> None:
    assert combinations.problems(facts(None, outcome('cv2', 'works'), outcome('mmcv.ops', 'works'))) == []


LIBUSB = 'ImportError: libusb-1.0.so.0: cannot open shared object file: No such file or directory'


@pytest.mark.parametrize(('changed', 'failing', 'title', 'cure'), [
    ({'torchvision': {'torchvision': '0.28.0'}}, [], r'torchvision 0\.28\.0 beside torch', r'uninstall -y torchvision'),
    ({'albumentations': {'albumentationsx': '2.1.0'}}, [], 'albumentationsx', r'install albumentations==2\.0\.8'),
    ({'cv2': {'opencv-python': '5.0.0.93', 'opencv-python-headless': '4.12.0.88'}}, [], 'different versions',
     r'--force-reinstall --no-deps opencv-python==5\.0\.0\.93 opencv-python-headless==5\.0\.0\.93'),
    ({}, [outcome('cv2', 'broken', "AttributeError: module 'cv2' has no attribute 'imencode'")], 'cv2 does not work',
     r'--force-reinstall --no-deps opencv-python==4\.12\.0\.88'),
    ({'numpy': {'numpy': '2.4.0'}}, [], r'numpy 2\.4\.0 with OpenCV', r'numpy==2\.2\.6'),
    ({'numpy': {'numpy': '1.26.4'}}, [], 'onedl-mmsegmentation', r'numpy==2\.2\.6'),
    ({}, [outcome('mmcv.ops', 'broken', "ModuleNotFoundError: No module named 'mmcv._ext'")], 'without working ops',
     r'--no-build-isolation .*onedl-mmcv'),
    ({'mmcv': {'mmcv-lite': '2.1.0'}}, [outcome('mmcv.ops', 'broken', "No module named 'mmcv.ops'")],
     'without working ops', r'uninstall -y mmcv-lite'),
    ({'mmcv': {'mmcv': '2.2.0', 'onedl-mmcv': '2.3.6'}}, [], 'installed twice', r'uninstall -y mmcv onedl-mmcv'),
    ({'mmdet': {'mmdet': '3.3.0'}}, [], r'mmdet 3\.3\.0 with mmcv', 'install onedl-mmdetection'),
    ({'mmengine': {'mmengine': '0.10.7'}}, [], r'mmengine 0\.10\.7 with torch', 'onedl-mmengine'),
    ({'mmengine': {'mmengine': '0.10.8'}, 'setuptools': {'setuptools': '82.0.0'}}, [], 'setuptools', r'setuptools<81'),
    ({}, [outcome('open3d', 'broken', LIBUSB, 'points')], 'system libraries', r'apt-get install -y libusb-1\.0-0'),
    ({}, [outcome('registry', 'broken', 'AssertionError: not found')], 'do not find type=',
     'pip install --no-deps -e'),
])
def test_bad_combinations_are_named_with_their_cure(
    changed: dict[str, dict[str, str]], failing: list[Outcome], title: str, cure: str
) -> None:
    found = combinations.problems(facts(changed, *failing))
    assert len(found) == 1, [problem.title for problem in found]
    assert re.search(title, found[0].title) and re.search(cure, found[0].cure)


def test_a_failure_that_no_rule_knows_still_gets_a_command() -> None:
    found = facts(None, outcome('open3d', 'crashed', group='points'), outcome('mmcv.ops', 'broken', 'x'))
    known = combinations.problems(found)
    rest = combinations.unexplained(found, known)
    assert [problem.title for problem in rest] == ['open3d does not work (crashed)']
    assert rest[0].cure == 'pip install --force-reinstall --no-deps "something"'


def test_the_exit_code_follows_the_required_groups(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    fakes = [probe('print("fine")', name='one'), probe('raise RuntimeError("geo is ill")', group='geo', name='two')]
    found = probes.run_probes(fakes)
    monkeypatch.setattr(probes, 'run_probes', lambda: found)
    assert main(['doctor']) == 0
    shown = capsys.readouterr().out
    assert 'RuntimeError: geo is ill' in shown and 'Works: base, mm' in shown
    assert main(['doctor', '--require', 'base', 'geo']) == 1
    assert 'Needed and not working: geo' in capsys.readouterr().out


def test_json_is_one_object_with_a_command_for_what_is_absent(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    found = probes.run_probes([probe('print("fine")'), probe('', module='no_such_module_here', group='geo')])
    monkeypatch.setattr(probes, 'run_probes', lambda: found)
    assert main(['doctor', '--json']) == 0
    report = json.loads(capsys.readouterr().out)
    assert report['ok'] and report['groups']['base'] and not report['groups']['geo']
    absent = report['libraries'][1]
    assert absent['state'] == 'absent' and absent['install'].endswith('-m pip install "something"')


def test_commands_name_the_interpreter_that_was_examined() -> None:
    shown = doctor.command('pip uninstall -y a && pip install b')
    assert shown.count(' -m pip ') == 2 and str(sys.executable).endswith(shown.split(' ')[0].rsplit('/', 1)[-1])


def test_without_rich_the_table_is_plain(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.setitem(sys.modules, 'rich.console', None)
    doctor.show(doctor.examine(probes.run_probes([probe('print("fine")', name='one')]), ['base']))
    assert 'one' in capsys.readouterr().out


def test_the_real_probes_cover_the_extras_and_the_hosts() -> None:
    assert {item.group for item in probes.PROBES} == set(doctor.GROUPS)
    assert {'torch', 'mmcv.ops', 'mmdet', 'mmseg', 'open3d', 'rasterio', 'cv2', 'faiss', 'numba'} <= {
        item.label for item in probes.PROBES}


def test_the_base_really_works_here() -> None:
    found = probes.run_probes([item for item in probes.PROBES if item.group == 'base'])
    assert [item.probe.label for item in found if not item.works] == []
