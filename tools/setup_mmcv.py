"""mmcv with its compiled ops: keep it if the ops work, else take a wheel built earlier, else compile.

pip's own cache does not know for which torch a wheel was compiled. So a wheel is accepted only after its ops have run,
and finished wheels are kept per (mmcv, torch, Python, machine) in ``~/.cache/imbdense``. The sources are unpacked into
the environment and compiled in place: an interrupted compile goes on with the objects it already has.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING

from setup_runner import Runner, StepFailedError

if TYPE_CHECKING:
    from setup_steps import Place

OPS_TEST = """
import torch
from mmcv.ops import nms
boxes, scores = torch.tensor([[0., 0., 9., 9.], [1., 1., 9., 9.]]), torch.tensor([.9, .8])
for device in ['cpu'] + ['cuda'] * (torch.cuda.is_available() and {cuda}):
    assert nms(boxes.to(device), scores.to(device), 0.5)[1].tolist() == [0], device
"""
MEMORY_PER_JOB = 1.5 * 2**30
"""Bytes that one compiler process may take."""


def ensure(place: Place, runner: Runner) -> None:
    """Make ``mmcv.ops`` work in the environment.

    Raises:
        StepFailedError: another distribution provides an mmcv without ops, or the compile fails.
    """
    gpu_ops = can_compile_for_gpu(place, runner)
    provider = provider_of_mmcv(place, runner)
    release = requirement(place).replace('onedl-mmcv==', 'onedl_mmcv-')
    wanted = provider not in ('', 'onedl-mmcv') or release in place.installed('onedl-mmcv')
    if wanted and ops_work(place, runner, gpu_ops):
        return
    if provider not in ('', 'onedl-mmcv'):
        raise StepFailedError(
            f'the environment has {provider}, whose compiled ops do not import. Either compile it again for this torch '
            f'({place.python} -m pip install --no-build-isolation --no-cache-dir --force-reinstall --no-deps {provider}'
            f') or let the set-up take the maintained fork ({place.python} -m pip uninstall -y {provider}), then start '
            f'this again.'
        )
    store = wheel_store(place)
    for wheel in [*sorted(store.glob('*.whl')), *cached_by_pip(place, runner)]:
        runner.run(install_command(place, wheel))
        if ops_work(place, runner, gpu_ops):
            runner.say(f'      taken from an earlier compile: {wheel.name}')
            keep(wheel, store)
            return
    built = compile_wheel(place, runner, gpu_ops)
    runner.run(install_command(place, built))
    if not ops_work(place, runner, gpu_ops):
        raise StepFailedError(f'mmcv was compiled but its ops do not run; see the end of {runner.log}')
    keep(built, store)
    shutil.rmtree(place.state / 'build', ignore_errors=True)


def ops_work(place: Place, runner: Runner, cuda: bool) -> bool:
    """True if non-maximum suppression runs on the CPU and, with ``cuda``, on the device."""
    return runner.attempt([str(place.python), '-c', OPS_TEST.format(cuda=cuda)])[0] == 0


def can_compile_for_gpu(place: Place, runner: Runner) -> bool:
    """True if torch sees a CUDA device and the CUDA compiler is there; says what is lost if only the device is."""
    code = ('import torch; from torch.utils.cpp_extension import CUDA_HOME as home; '
            'print("cuda", torch.cuda.is_available(), home)')
    _, text = runner.attempt([str(place.python), '-c', code])
    found = re.search(r'^cuda (True|False) (.*)$', text, re.MULTILINE)
    if found is None or found.group(1) == 'False':
        return False
    if found.group(2) == 'None':
        runner.say('      ! torch sees a CUDA device but there is no CUDA compiler (nvcc): mmcv gets its CPU ops only. '
                   'Segmentation runs on the GPU all the same; for detection install the CUDA toolkit, set CUDA_HOME '
                   'and run: rm -r ~/.cache/imbdense; pip uninstall -y onedl-mmcv; make setup')
        return False
    return True


def provider_of_mmcv(place: Place, runner: Runner) -> str:
    """The distribution that provides ``mmcv``, or an empty string."""
    code = 'import importlib.metadata as m; print("by", *m.packages_distributions().get("mmcv", [])[:1])'
    _, text = runner.attempt([str(place.python), '-c', code])
    found = re.search(r'^by ?(\S*)$', text, re.MULTILINE)
    return found.group(1) if found else ''


def requirement(place: Place) -> str:
    """The pinned mmcv, for example ``onedl-mmcv==2.3.6``."""
    found = re.search(r'^onedl-mmcv==[\w.]+', place.requirements.read_text(), re.MULTILINE)
    if found is None:
        raise StepFailedError(f'{place.requirements} has no line onedl-mmcv==...')
    return found.group(0)


def wheel_store(place: Place) -> Path:
    """Folder of finished wheels for this mmcv, torch, Python and machine."""
    torch = (place.state / 'constraints.txt').read_text().strip().replace('==', '-')
    base = Path(os.environ.get('XDG_CACHE_HOME') or Path.home() / '.cache')
    return base / 'imbdense' / f'{requirement(place)}_{torch}_{place.python_tag}_{platform.machine()}'


def cached_by_pip(place: Place, runner: Runner) -> list[Path]:
    """Wheels of this mmcv that pip built earlier."""
    release = requirement(place).split('==')[1]
    _, text = runner.attempt(place.pip('cache', 'list', 'onedl_mmcv', '--format=abspath'))
    name = f'-{release}-{place.python_tag}-'
    return [Path(line) for line in text.splitlines() if line.endswith('.whl') and name in line]


def install_command(place: Place, wheel: Path) -> list[str]:
    """Install exactly this wheel; what it depends on came with requirements.txt."""
    return place.pip('install', '--no-deps', '--force-reinstall', str(wheel))


def keep(wheel: Path, store: Path) -> None:
    """Copy a wheel that has proved to work into ``store`` (whole or not at all)."""
    store.mkdir(parents=True, exist_ok=True)
    target = store / wheel.name
    if not target.exists():
        partial = target.with_suffix('.partial')
        shutil.copyfile(wheel, partial)
        partial.rename(target)


def compile_wheel(place: Place, runner: Runner, gpu_ops: bool) -> Path:
    """Compile mmcv in ``<environment>/.imbdense-setup/build`` and return the wheel."""
    build = place.state / 'build'
    source = unpacked_source(place, runner, build)
    jobs = os.environ.get('MAX_JOBS') or str(compiler_jobs())
    runner.say(f'      compiling with {jobs} jobs; Ctrl-C is safe, the next run goes on with the finished objects')
    environment = {'MAX_JOBS': jobs, 'PYTHONUNBUFFERED': '1'}
    if not gpu_ops:
        environment['CUDA_VISIBLE_DEVICES'] = ''  # else torch sees a device and asks for nvcc
    runner.run(
        place.pip('wheel', '-v', '--no-build-isolation', '--no-deps', '-w', str(build / 'wheel'), str(source)),
        environment, progress=r'\[\d+/\d+\]',
    )
    return next((build / 'wheel').glob('*.whl'))


def unpacked_source(place: Place, runner: Runner, build: Path) -> Path:
    """The folder of the unpacked sources; unpacked once, so that a later run finds the objects of an earlier one."""
    source = build / 'source'
    if source.exists():
        return source
    shutil.rmtree(build, ignore_errors=True)
    runner.run(place.pip('download', '--no-deps', '--no-build-isolation', '--no-binary', ':all:', '-d', str(build),
                         requirement(place)))
    partial = build / 'partial'
    with tarfile.open(next(build.glob('*.tar.gz'))) as archive:
        archive.extractall(partial, filter='data') if hasattr(tarfile, 'data_filter') else archive.extractall(partial)
    next(partial.iterdir()).rename(source)
    return source


def compiler_jobs() -> int:
    """As many as there are cores, fewer where memory is short."""
    memory = os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES')
    return max(1, min(len(os.sched_getaffinity(0)), int(memory / MEMORY_PER_JOB)))
