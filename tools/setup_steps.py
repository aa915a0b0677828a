"""The steps of the set-up; ``setup_env.py`` decides which of them still have to run.

A *plan* is a list of (name, title, action, inputs): ``action()`` does the step, ``inputs()`` is a text that changes
when the step has to run again. Standard library only.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import setup_mmcv
import setup_system
from setup_runner import Runner, StepFailedError, explain

Plan = list[tuple[str, str, Callable[[], None], Callable[[], str]]]

TORCH_RELEASE = '2.13.0'
OLDEST_TORCH = (2, 4)
BUILD_TOOLS = ['pip', 'setuptools<81', 'wheel', 'ninja', 'packaging', 'psutil']
"""setuptools below 81 still has pkg_resources, which host packages of 2023 import; ninja lets a compile go on."""

HOSTS = {
    'onedl-mmengine': 'mmengine', 'onedl-mmcv': 'mmcv', 'onedl-mmdetection': 'mmdet', 'onedl-mmsegmentation': 'mmseg',
}
"""Distribution in requirements.txt -> import name; the line is left out where the import name already exists."""


@dataclass(frozen=True)
class Place:
    """Where the environment and the checkout lie."""

    root: Path
    venv: Path

    @property
    def state(self) -> Path:
        """Folder of stamps, log and half-finished builds."""
        return self.venv / '.imbdense-setup'

    @property
    def python(self) -> Path:
        """Interpreter of the environment."""
        return self.venv / 'bin' / 'python'

    @property
    def requirements(self) -> Path:
        """The tested versions."""
        return self.root / 'requirements.txt'

    def pip(self, *arguments: str) -> list[str]:
        """A pip command of the environment."""
        return [str(self.python), '-m', 'pip', *arguments]

    def installed(self, *names: str) -> str:
        """Names of the metadata folders of the given distributions: changes with their versions, costs no import."""
        found = (self.venv / 'lib').glob('python*/site-packages/*.dist-info')
        wanted = {name.replace('-', '_').lower() for name in names}
        return ' '.join(sorted(path.name for path in found if path.name.split('-')[0].lower() in wanted))

    @property
    def python_tag(self) -> str:
        """``cp311`` for an environment of Python 3.11, whatever interpreter runs the set-up."""
        folder = next((self.venv / 'lib').glob('python3.*'))
        return folder.name.replace('python', 'cp').replace('.', '')


def full_plan(place: Place, runner: Runner) -> Plan:
    """Everything: what ``make setup`` does."""
    mmcv = ['torch', 'onedl-mmcv', 'mmcv', 'mmcv-full', 'mmcv-lite']
    names = [distribution_of(line) for line in requirement_lines(place) if not line.startswith('onedl-mmcv')]
    setup_files = [place.root / 'setup.py', place.root / 'imbdense' / '__init__.py']
    return [
        ('system', 'system libraries', lambda: setup_system.ensure(runner), lambda: ''),
        *_first_steps(place, runner),
        ('requirements', 'requirements.txt (about 100 packages with what they need)',
         lambda: install_requirements(place, runner), lambda: place.requirements.read_text() + place.installed(*names)),
        ('mmcv', 'mmcv with its compiled ops (compiled once per machine: 7-15 minutes on two cores)',
         lambda: setup_mmcv.ensure(place, runner), lambda: place.installed(*mmcv)),
        ('imbdense', 'imbdense itself (editable)',
         lambda: runner.run(place.pip('install', '--no-deps', '--no-build-isolation', '-e', str(place.root))),
         lambda: place.installed('imbdense') + str(place.root) + ''.join(path.read_text() for path in setup_files)),
        ('check', 'check: imbdense doctor', lambda: check(place, runner), lambda: ''),
    ]


def core_plan(place: Place, runner: Runner) -> Plan:
    """Only what ``imbdense.core`` may import, plus pytest: what ``make test-core`` does."""
    names = {'numpy', 'scipy', 'pytest'}
    lines = [line for line in requirement_lines(place) if distribution_of(line) in names]
    return [
        *_first_steps(place, runner),
        ('core', 'numpy, scipy, pytest', lambda: runner.run(place.pip('install', *constraints(place), *lines)),
         lambda: '\n'.join(lines)),
    ]


def _first_steps(place: Place, runner: Runner) -> Plan:
    """The steps that both plans begin with."""
    torch_wish = os.environ.get('IMBDENSE_TORCH_SPEC', '')
    return [
        ('venv', f'virtual environment {place.venv}', lambda: make_venv(place, runner),
         lambda: ''),
        ('tools', 'pip, setuptools, wheel, ninja', lambda: runner.run(place.pip('install', '-U', *BUILD_TOOLS)),
         lambda: ' '.join(BUILD_TOOLS)),
        ('torch', 'torch', lambda: install_torch(place, runner), lambda: torch_wish + place.installed('torch')),
    ]


def refuse_foreign_folder(place: Place) -> None:
    """Raise :class:`StepFailedError` if the folder for the environment holds something else."""
    if not place.venv.exists() or (place.venv / 'pyvenv.cfg').exists() or place.state.exists():
        return
    if not place.venv.is_dir() or any(place.venv.iterdir()):
        raise StepFailedError(f'{place.venv} is no virtual environment and not empty. Move it, or choose another '
                              f'folder: VENV=/path/to/folder')


def make_venv(place: Place, runner: Runner) -> None:
    """Create the environment; keep a working one, replace one whose creation was interrupted.

    Raises:
        StepFailedError: the module ``venv`` is not whole on this machine and cannot be installed.
    """
    marker = place.state / 'creating'
    if place.python.exists() and not marker.exists() and runner.attempt(place.pip('--version'))[0] == 0:
        return
    leftovers = [path for path in place.venv.iterdir() if path != place.state]
    if leftovers:
        runner.say(f'      {place.venv} is incomplete (interrupted?): making it again')
        for path in leftovers:
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    for stamp in place.state.glob('*.stamp'):
        if stamp.stem != 'system':
            stamp.unlink()
    marker.write_text('removed when the environment is whole\n')
    if not setup_system.has_module('ensurepip'):
        package = f'python{sys.version_info[0]}.{sys.version_info[1]}-venv'
        setup_system.install_packages(runner, [package], required=True)
    runner.run([sys.executable, '-m', 'venv', str(place.venv)])
    marker.unlink()


def install_torch(place: Place, runner: Runner) -> None:
    """Keep a torch that imports and is new enough, else install one; then pin it for the steps that follow."""
    version = torch_version(place, runner)
    if version is None:
        fetch_torch(place, runner)
        version = torch_version(place, runner)
    if version is None:
        raise StepFailedError(f'torch was installed but `import torch` fails; see the end of {runner.log}')
    runner.say(f'      torch {version}')
    (place.state / 'constraints.txt').write_text(f'torch=={version}\n')


def fetch_torch(place: Place, runner: Runner) -> None:
    """Install torch.

    Without a CUDA device the CPU build is taken wherever pip can find one (label ``+cpu`` on a configured index or
    links folder), else the registry's default; with a device exactly the registry's build without a label.
    """
    wish = os.environ.get('IMBDENSE_TORCH_SPEC')
    if wish or has_cuda_device():
        runner.run(place.pip('install', wish or f'torch==={TORCH_RELEASE}'))
        return
    runner.say('      no CUDA device here: looking for the CPU build')
    command = place.pip('install', f'torch=={TORCH_RELEASE}+cpu')
    code, text = runner.attempt(command)
    if code == 0:
        return
    if 'No matching distribution' not in text:
        raise StepFailedError(explain(command, code, text, runner.log))
    runner.say("      pip finds no CPU build; the registry's default build follows (on x86-64 a CUDA build of about "
               '3 GB, which works without a device; docs/install.md says how to name a CPU index)')
    runner.run(place.pip('install', f'torch=={TORCH_RELEASE}'))


def torch_version(place: Place, runner: Runner) -> str | None:
    """Version of the torch in the environment; None if absent, broken or older than 2.4."""
    code, text = runner.attempt([str(place.python), '-c', 'import torch; print("torch", torch.__version__)'])
    found = re.search(r'^torch (\d+)\.(\d+)\S*', text, re.MULTILINE)
    if code != 0 or found is None or (int(found.group(1)), int(found.group(2))) < OLDEST_TORCH:
        return None
    return found.group(0).split()[1]


def has_cuda_device() -> bool:
    """True if the driver shows an NVIDIA device."""
    signs = ('/dev/nvidia0', '/usr/lib/wsl/lib/nvidia-smi')
    return any(Path(sign).exists() for sign in signs)


def install_requirements(place: Place, runner: Runner) -> None:
    """Install requirements.txt less torch (pinned before), mmcv (compiled later) and the hosts that are there."""
    present = provided(place, runner, list(HOSTS.values()))
    foreign = {name: module for name, module in HOSTS.items() if module in present and not place.installed(name)}
    if foreign:
        runner.say(f'      kept as they are: {", ".join(foreign.values())}')
    skip = {*foreign, 'onedl-mmcv'}
    lines = [line for line in requirement_lines(place) if distribution_of(line) not in skip]
    chosen = place.state / 'requirements.chosen.txt'
    chosen.write_text('\n'.join(lines) + '\n')
    runner.run(place.pip('install', '-r', str(chosen), *constraints(place)))


def provided(place: Place, runner: Runner, modules: list[str]) -> set[str]:
    """Those of ``modules`` that the environment can find, whatever distribution they come from."""
    code = f'import importlib.util as u; print("found", *[m for m in {modules!r} if u.find_spec(m)])'
    _, text = runner.attempt([str(place.python), '-c', code])
    found = re.findall(r'^found(.*)$', text, re.MULTILINE)
    return set(found[-1].split()) if found else set()


def requirement_lines(place: Place) -> list[str]:
    """The requirements without comments."""
    lines = (line.split('#')[0].strip() for line in place.requirements.read_text().splitlines())
    return [line for line in lines if line]


def distribution_of(line: str) -> str:
    """``numpy==2.2.6; ...`` -> ``numpy``."""
    return re.split(r'[=<>!~;\[ ]', line, maxsplit=1)[0].lower()


def constraints(place: Place) -> list[str]:
    """pip options that keep the chosen torch; constraints of pip's own configuration stay in force."""
    path = place.state / 'constraints.txt'
    return ['-c', str(path)] if path.exists() else []


def check(place: Place, runner: Runner) -> None:
    """Run the doctor; the base and the hosts must work, faults elsewhere are printed with their cure."""
    code, text = runner.attempt([str(place.python), '-m', 'imbdense', 'doctor', '--require', 'base', 'mm'],
                                env={'COLUMNS': '110', 'PYTHONPATH': str(place.root)})
    if code != 0:
        raise StepFailedError(f'something needed does not work:\n{text}\nWhole output: {runner.log}')
    runner.say('\n'.join('      ' + line for line in text.splitlines() if line.startswith(('  !', '  ->', 'Works'))))
