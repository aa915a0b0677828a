"""Packaging of imbdense. ``make setup`` prepares a whole environment; this file only says what the package needs.

``pip install imbdense`` needs torch, numpy and scipy: enough for :mod:`imbdense.core`. Everything else is an extra.
The host libraries are found by import name, never by distribution name: whoever has the original mmengine, mmcv, mmdet
or mmseg keeps them and leaves out the ``mm`` extra, which names the maintained forks. torchvision is in no extra
(no part of imbdense or of its hosts needs it, and a build that does not match torch's breaks the import).
"""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).resolve().parent

BASE = ['rich>=13', 'matplotlib>=3.8', 'Pillow>=10', 'PyYAML>=6', 'opencv-python>=4.8']

EXTRAS: dict[str, list[str]] = {
    'base': BASE,
    'mm': [
        *BASE,
        'onedl-mmengine>=0.10.12',
        'onedl-mmcv>=2.3.6',  # compile it with --no-build-isolation after torch, or its ops are silently left out
        'onedl-mmdetection>=3.5.1',
        'onedl-mmsegmentation>=1.4.2',
    ],
    'geo': ['rasterio>=1.3'],
    'points': ['open3d-cpu>=0.19; platform_machine == "x86_64"', 'laspy[lazrs]>=2.5'],
    'change3d': ['py4dgeo>=1.2'],
    'sparse': ['spconv>=2.3.8; platform_machine == "x86_64"'],  # runs on the CPU; spconv-cu126 and the like on a GPU
    'aug': ['albumentations>=2.0.8,<2.1'],  # the last release under the MIT licence
    'fast': ['numba>=0.60', 'deflate>=0.7', 'faster-coco-eval>=1.6', 'faiss-cpu>=1.8'],
    'medical': ['nibabel>=5'],
    'dash': ['panel>=1.4', 'bokeh>=3'],
    'ray': ['ray[data]>=2.40'],
    'dev': [
        'pytest>=8', 'pytest-xdist>=3.6', 'ruff>=0.6', 'mypy>=1.11', 'types-PyYAML', 'scikit-learn>=1.4',
        'pgeof>=0.3.4',
    ],
}
EXTRAS['all'] = sorted({requirement for group in EXTRAS.values() for requirement in group})


def version() -> str:
    """The version written in ``imbdense/__init__.py``, read without importing the package."""
    found = re.search(r"^__version__ = '([^']+)'", (ROOT / 'imbdense' / '__init__.py').read_text('utf-8'), re.MULTILINE)
    if found is None:
        raise RuntimeError("imbdense/__init__.py has no line __version__ = '...'")
    return found.group(1)


def long_description() -> str:
    """The README, or nothing in an unpacked source distribution without it."""
    readme = ROOT / 'README.md'
    return readme.read_text('utf-8') if readme.exists() else ''


def config_files() -> list[tuple[str, list[str]]]:
    """``configs/`` as data files, one entry per folder; ``imbdense.utils.paths.configs_dir`` finds them again."""
    folders: defaultdict[str, list[str]] = defaultdict(list)
    for path in sorted((ROOT / 'configs').rglob('*.py')):
        relative = path.relative_to(ROOT)
        folders[f'share/imbdense/{relative.parent.as_posix()}'].append(relative.as_posix())
    return sorted(folders.items())


setup(
    name='imbdense',
    version=version(),
    description='Make the rare class count in dense prediction: an OpenMMLab plug-in',
    long_description=long_description(),
    long_description_content_type='text/markdown',
    license='Apache-2.0',
    license_files=['LICENSE'],
    python_requires='>=3.10',
    packages=find_packages(include=['imbdense', 'imbdense.*']),
    package_data={'imbdense': ['py.typed']},
    data_files=config_files(),
    install_requires=['torch>=2.4', 'numpy>=1.26', 'scipy>=1.11'],
    extras_require=EXTRAS,
    entry_points={'console_scripts': ['imbdense=imbdense.cli.main:main']},
    zip_safe=False,
    classifiers=[
        'Development Status :: 4 - Beta',
        'Intended Audience :: Science/Research',
        'Operating System :: POSIX :: Linux',
        'Programming Language :: Python :: 3',
        'Topic :: Scientific/Engineering :: Image Recognition',
        'Typing :: Typed',
    ],
)
