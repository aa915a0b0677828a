"""Combinations of installed libraries that are known not to work, each with its cure.

A rule looks at the versions found (import name -> distribution -> version) and at what the probes said; it imports
nothing. Sources: traps met with the hosts (mmengine, mmcv, mmdet, mmseg and their forks), see docs/install.md.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from imbdense.utils.probes import BUILD_MMCV, Outcome
from imbdense.utils.versions import distributions_of, parse_version

MODULES = ('torch', 'torchvision', 'numpy', 'cv2', 'mmengine', 'mmcv', 'mmdet', 'mmseg', 'albumentations', 'open3d',
           'setuptools', 'numba')
OPENCV_NUMPY_LIMIT = (2, 3)
"""OpenCV up to 4.12 is built for numpy below this."""
LIBRARY_PACKAGES = {'libusb-1.0': 'libusb-1.0-0', 'libGL.so': 'libgl1', 'libgthread-2.0': 'libglib2.0-0',
                    'libglib-2.0': 'libglib2.0-0', 'libgomp': 'libgomp1'}
"""Part of the loader's message -> Debian package."""


@dataclass(frozen=True)
class Problem:
    """Something that does not work (or will not), why, and the command that mends it."""

    title: str
    why: str
    cure: str
    explains: tuple[str, ...] = ()
    """Labels of the probes that fail because of it."""


@dataclass(frozen=True)
class Installed:
    """What the rules look at."""

    versions: Mapping[str, Mapping[str, str]]
    outcomes: Mapping[str, Outcome]

    def version(self, module: str) -> str:
        """Version of the first distribution of ``module``; an empty string if there is none."""
        return next(iter(self.versions.get(module, {}).values()), '')

    def original(self, module: str) -> bool:
        """True if ``module`` is installed and none of its distributions is a maintained fork."""
        found = self.versions.get(module, {})
        return bool(found) and not any(name.startswith('onedl-') for name in found)

    def fails(self, label: str) -> Outcome | None:
        """The outcome of the probe ``label`` if it is there and does not work."""
        outcome = self.outcomes.get(label)
        return outcome if outcome is not None and outcome.state in ('broken', 'crashed', 'timeout') else None


def installed(outcomes: Sequence[Outcome]) -> Installed:
    """The facts of this environment."""
    return Installed({module: distributions_of(module) for module in MODULES},
                     {outcome.probe.label: outcome for outcome in outcomes})


def torchvision_build(found: Installed) -> Problem | None:
    """torchvision of another build than torch (CUDA beside CPU, or another release) breaks `import torchvision`."""
    vision, torch = found.version('torchvision'), found.version('torch')
    if not vision or ('+cpu' in torch) == ('+cpu' in vision):
        return None
    return Problem(f'torchvision {vision} beside torch {torch}', 'The two builds do not match: importing torchvision '
                   'fails with "operator torchvision::nms does not exist". imbdense does not need it.',
                   'pip uninstall -y torchvision')


def albumentationsx(found: Installed) -> Problem | None:
    """The successor under another licence writes the same import name."""
    if 'albumentationsx' not in {name.lower() for name in found.versions.get('albumentations', {})}:
        return None
    return Problem('albumentationsx is installed', 'It takes the import name of albumentations, changes its interface '
                   'and is under the AGPL.',
                   'pip uninstall -y albumentationsx albumentations && pip install albumentations==2.0.8')


def opencv_versions(found: Installed) -> Problem | None:
    """opencv-python and opencv-python-headless (and contrib) write the same folder."""
    versions = found.versions.get('cv2', {})
    if len(set(versions.values())) < 2:
        return None
    newest = max(versions.values(), key=parse_version)
    listed = ' '.join(f'{name}=={newest}' for name in versions)
    return Problem('OpenCV distributions of different versions: '
                   + ', '.join(f'{name} {version}' for name, version in versions.items()),
                   'They share the folder cv2/ and overwrite each other\'s files.',
                   f'pip install --force-reinstall --no-deps {listed}', ('cv2',))


def opencv_broken(found: Installed) -> Problem | None:
    """A half-removed cv2: one of the distributions that share its folder was uninstalled."""
    outcome = found.fails('cv2')
    if outcome is None or 'cannot open shared object' in outcome.output:
        return None
    names = ' '.join(f'{name}=={version}' for name, version in found.versions.get('cv2', {}).items())
    return Problem('cv2 does not work', f'{outcome.detail}. Uninstalling one of two OpenCV distributions leaves the '
                   'other without files.', f'pip install --force-reinstall --no-deps {names or "opencv-python"}',
                   ('cv2',))


def numpy_limits(found: Installed) -> Problem | None:
    """numpy too new for OpenCV <= 4.12, or too old for the fork of mmseg."""
    numpy, opencv = parse_version(found.version('numpy')), parse_version(found.version('cv2'))
    if numpy >= OPENCV_NUMPY_LIMIT and opencv and opencv < (4, 13):
        return Problem(f'numpy {found.version("numpy")} with OpenCV {found.version("cv2")}',
                       'OpenCV up to 4.12 needs numpy below 2.3.', 'pip install "numpy==2.2.6"', ('cv2',))
    if numpy and numpy < (2,) and found.version('mmseg') and not found.original('mmseg'):
        return Problem(f'numpy {found.version("numpy")} with onedl-mmsegmentation',
                       'The fork needs numpy 2.', 'pip install "numpy==2.2.6"', ('mmseg',))
    return None


def mmcv_ops(found: Installed) -> Problem | None:
    """mmcv without compiled ops (built in isolation, mmcv-lite) or compiled for another torch."""
    outcome = found.fails('mmcv.ops')
    if outcome is None:
        return None
    lite = 'mmcv-lite' in found.versions.get('mmcv', {})
    why = ('mmcv-lite has no ops.' if lite else
           'mmcv was built in isolation (where it does not see torch and leaves them out), or for another torch.')
    remove = 'pip uninstall -y mmcv-lite && ' if lite else ''
    return Problem('mmcv without working ops', f'{outcome.detail}. {why}', f'{remove}{BUILD_MMCV}',
                   ('mmcv.ops',))


def two_providers(found: Installed) -> Problem | None:
    """An original and its fork in one environment overwrite each other."""
    for module, fork in (('mmengine', 'onedl-mmengine'), ('mmcv', 'onedl-mmcv'), ('mmdet', 'onedl-mmdetection'),
                         ('mmseg', 'onedl-mmsegmentation')):
        names = [name for name in found.versions.get(module, {}) if name != fork]
        if fork in found.versions.get(module, {}) and names:
            ops = ' --no-build-isolation' if module == 'mmcv' else ''
            return Problem(f'{module} is installed twice: {fork} and {" ".join(names)}',
                           'They share one folder and overwrite each other\'s files.',
                           f'pip uninstall -y {" ".join(names)} {fork} && pip install --no-deps{ops} {fork}', (module,))
    return None


def version_asserts(found: Installed) -> Problem | None:
    """The last originals of mmdet (3.3.0) and mmseg (1.2.2) assert mmcv < 2.2.0 when they are imported."""
    mmcv = found.version('mmcv')
    for module, distribution, fork in (('mmdet', 'mmdet', 'onedl-mmdetection'),
                                       ('mmseg', 'mmsegmentation', 'onedl-mmsegmentation')):
        if found.original(module) and parse_version(mmcv) >= (2, 2):
            return Problem(f'{distribution} {found.version(module)} with mmcv {mmcv}',
                           f'{distribution} asserts mmcv < 2.2.0 on import.',
                           f'pip uninstall -y {distribution} && pip install {fork}   # or keep it with mmcv 2.1.0',
                           (module, 'registry'))
    return None


def mmengine_and_torch(found: Installed) -> Problem | None:
    """The last original mmengine loads its checkpoints without weights_only, which torch >= 2.6 refuses."""
    if not found.original('mmengine') or parse_version(found.version('torch')) < (2, 6):
        return None
    if parse_version(found.version('mmengine')) > (0, 10, 7):
        return None
    return Problem(f'mmengine {found.version("mmengine")} with torch {found.version("torch")}',
                   'Resuming fails: torch >= 2.6 loads only plain tensors unless told otherwise, mmengine stores more.',
                   'pip uninstall -y mmengine && pip install onedl-mmengine   # or torch < 2.6')


def setuptools_for_mmengine(found: Installed) -> Problem | None:
    """The original mmengine imports pkg_resources, which left setuptools."""
    if found.original('mmengine') and parse_version(found.version('setuptools')) >= (82,):
        return Problem(f'setuptools {found.version("setuptools")} with the original mmengine',
                       'mmengine imports pkg_resources, which newer setuptools no longer has.',
                       'pip install "setuptools<81"')
    return None


def system_libraries(found: Installed) -> Problem | None:
    """A probe failed because the loader did not find a system library."""
    needed: dict[str, list[str]] = {}
    for outcome in found.outcomes.values():
        if outcome.state == 'broken' and 'cannot open shared object' in outcome.output:
            for part, package in LIBRARY_PACKAGES.items():
                if part in outcome.output:
                    needed.setdefault(package, []).append(outcome.probe.label)
    if not needed:
        return None
    users = sorted({label for labels in needed.values() for label in labels})
    return Problem(f'system libraries are missing: {" ".join(needed)}', f'{", ".join(users)} cannot be loaded.',
                   f'sudo apt-get update && sudo apt-get install -y {" ".join(needed)}', tuple(users))


def scope(found: Installed) -> Problem | None:
    """The hosts do not find our components: imbdense is not installed where they run."""
    outcome = found.fails('registry')
    hosts_work = all(found.outcomes[name].works for name in ('mmengine', 'mmdet', 'mmseg') if name in found.outcomes)
    if outcome is None or not hosts_work:
        return None
    return Problem("the hosts do not find type='imbdense.X'", f'{outcome.detail}. imbdense must be installed in the '
                   'environment that trains, not only lie in the working directory.',
                   "pip install --no-deps -e .   # or, in a config: custom_imports=dict(imports=['imbdense'])",
                   ('registry',))


def gpu_unused(found: Installed) -> Problem | None:
    """The machine has an NVIDIA device but torch does not see it."""
    outcome = found.outcomes.get('torch')
    if outcome is None or not outcome.works or 'no CUDA device' not in outcome.detail or not _nvidia_device():
        return None
    return Problem('an NVIDIA device is here but torch does not use it',
                   f'torch {found.version("torch")} is a CPU build, or the driver is too old for its CUDA version.',
                   'pip install --force-reinstall "torch===2.13.0"   # then: make setup')


def _nvidia_device() -> bool:
    """True if the driver shows a device."""
    return os.path.exists('/dev/nvidia0') or os.path.exists('/usr/lib/wsl/lib/nvidia-smi')


RULES: tuple[Callable[[Installed], Problem | None], ...] = (
    torchvision_build, albumentationsx, opencv_versions, opencv_broken, numpy_limits, two_providers, version_asserts,
    mmcv_ops, mmengine_and_torch, setuptools_for_mmengine, system_libraries, scope, gpu_unused,
)


def problems(found: Installed) -> list[Problem]:
    """Every rule that applies, in the order in which the cures should be tried."""
    return [problem for rule in RULES if (problem := rule(found)) is not None]


def unexplained(found: Installed, explained: Sequence[Problem]) -> list[Problem]:
    """One problem for every probe that fails and that no rule explains."""
    known = {label for problem in explained for label in problem.explains}
    return [
        Problem(f'{label} does not work ({outcome.state})', outcome.detail, _reinstall(outcome))
        for label, outcome in found.outcomes.items()
        if found.fails(label) is not None and label not in known
    ]


def _reinstall(outcome: Outcome) -> str:
    """The install command of a probe, forced where pip would say that it is there already."""
    return outcome.probe.install.replace('pip install ', 'pip install --force-reinstall --no-deps ', 1)
