"""What setup.py and requirements.txt promise: extras, entry point, no torchvision, no pinned CPU build, one OpenCV."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from imbdense.utils import paths

ROOT = Path(__file__).resolve().parents[1]
MM = {'onedl-mmengine', 'onedl-mmcv', 'onedl-mmdetection', 'onedl-mmsegmentation'}


@pytest.fixture(scope='module')
def metadata() -> dict[str, Any]:
    """The arguments that setup.py passes to setuptools."""
    caught: dict[str, Any] = {}
    import setuptools

    original, setuptools.setup = setuptools.setup, lambda **arguments: caught.update(arguments)
    try:
        exec(compile((ROOT / 'setup.py').read_text(), 'setup.py', 'exec'),
             {'__file__': str(ROOT / 'setup.py'), '__name__': 'setup'})
    finally:
        setuptools.setup = original
    return caught


def names(requirements: list[str]) -> set[str]:
    return {re.split(r'[=<>!~;\[ ]', line, maxsplit=1)[0].lower() for line in requirements}


def requirement_lines() -> list[str]:
    lines = (line.split('#')[0].strip() for line in (ROOT / 'requirements.txt').read_text().splitlines())
    return [line for line in lines if line]


def test_the_extras_are_complete(metadata: dict[str, Any]) -> None:
    extras = metadata['extras_require']
    assert set(extras) == {'base', 'mm', 'geo', 'points', 'change3d', 'sparse', 'aug', 'fast', 'medical', 'dash', 'ray',
                           'dev', 'all'}
    assert set(extras['all']) == {line for name, group in extras.items() if name != 'all' for line in group}
    assert names(extras['mm']) >= MM


def test_the_bare_install_needs_no_host(metadata: dict[str, Any]) -> None:
    assert names(metadata['install_requires']) == {'torch', 'numpy', 'scipy'}


def test_entry_point_python_and_typing_marker(metadata: dict[str, Any]) -> None:
    assert metadata['entry_points'] == {'console_scripts': ['imbdense=imbdense.cli.main:main']}
    assert metadata['python_requires'] == '>=3.10'
    assert 'py.typed' in metadata['package_data']['imbdense'] and (ROOT / 'imbdense' / 'py.typed').exists()
    assert 'package_dir' not in metadata
    assert 'imbdense.core.losses' in metadata['packages'] and 'tests' not in metadata['packages']


def test_every_folder_with_modules_is_a_package(metadata: dict[str, Any]) -> None:
    folders = {path.parent for path in (ROOT / 'imbdense').rglob('*.py')}
    assert {'.'.join(folder.relative_to(ROOT).parts) for folder in folders} == set(metadata['packages'])


def test_every_config_is_installed(metadata: dict[str, Any]) -> None:
    listed = {file for folder, files in metadata['data_files'] for file in files}
    assert listed == {path.relative_to(ROOT).as_posix() for path in (ROOT / 'configs').rglob('*.py')}
    assert all(folder.startswith('share/imbdense/configs') for folder, _ in metadata['data_files'])


def test_neither_torchvision_nor_a_cpu_build_is_demanded(metadata: dict[str, Any]) -> None:
    demanded = [*requirement_lines(), *metadata['install_requires'], *metadata['extras_require']['all']]
    assert not {'torchvision', 'albumentationsx'} & names(demanded)
    assert not [line for line in demanded if '+cpu' in line]
    assert 'torch' not in names(requirement_lines())


def test_both_opencv_distributions_are_one_version() -> None:
    pins = dict(line.split('==') for line in requirement_lines() if line.startswith('opencv'))
    assert set(pins) == {'opencv-python', 'opencv-python-headless'} and len(set(pins.values())) == 1


def test_every_requirement_is_pinned_and_covers_the_extras(metadata: dict[str, Any]) -> None:
    lines = requirement_lines()
    assert all('==' in line.split(';')[0] for line in lines)
    extras = metadata['extras_require']
    covered = [line for name, group in extras.items() if name not in ('all', 'dash', 'ray', 'sparse') for line in group]
    assert names(covered) <= names(lines)


def test_no_file_of_the_set_up_names_a_registry_host() -> None:
    files = [ROOT / name for name in ('setup.py', 'requirements.txt', 'Makefile', '.ci/run', 'pyproject.toml')]
    for path in [*files, *(ROOT / 'tools').glob('setup_*.py')]:
        assert not re.search(r'https?://|\bindex-url\b|find-links', path.read_text()), path


def test_the_licence_is_apache_2() -> None:
    text = (ROOT / 'LICENSE').read_text()
    assert 'Apache License' in text and 'Version 2.0, January 2004' in text and 'END OF TERMS AND CONDITIONS' in text


def test_configs_of_the_checkout_are_found() -> None:
    assert paths.configs_dir() == ROOT / 'configs'


def test_installed_configs_are_found_from_the_list_of_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wheel installed into a folder of its own, as pip does it: without a checkout around the package."""
    site = tmp_path / 'lib' / 'site-packages'
    config = tmp_path / 'share' / 'imbdense' / 'configs' / 'segmentation' / 'a.py'
    config.parent.mkdir(parents=True)
    config.write_text('x = 1\n')
    info = site / 'imbdense-0.1.0.dist-info'
    info.mkdir(parents=True)
    (info / 'METADATA').write_text('Name: imbdense\nVersion: 0.1.0\n')
    (info / 'RECORD').write_text('../../share/imbdense/configs/segmentation/a.py,,\n')
    monkeypatch.setattr(paths, 'checkout_dir', lambda: None)
    monkeypatch.syspath_prepend(str(site))
    assert paths.configs_dir() == tmp_path / 'share' / 'imbdense' / 'configs'


def test_missing_configs_say_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paths, 'checkout_dir', lambda: None)
    monkeypatch.setattr(paths, '_installed_configs', lambda: None)
    with pytest.raises(FileNotFoundError, match='pip install'):
        paths.configs_dir()


def test_the_ci_script_and_the_makefile_are_valid() -> None:
    assert subprocess.run(['bash', '-n', str(ROOT / '.ci' / 'run')]).returncode == 0
    listed = subprocess.run(['make', '-n', '-C', str(ROOT), 'train', 'test', f'PYTHON={sys.executable}'],
                            capture_output=True, text=True)
    assert listed.returncode == 0, listed.stderr
    assert 'imbdense benchmark demo --work-dir work_dirs/demo' in listed.stdout and '-m pytest' in listed.stdout
