"""A stand-in for the environment's interpreter: does what the set-up asks for, without network and in milliseconds.

It is copied with a shebang line to a file that the set-up calls. Every call is written to ``$FAKE_DIR/calls``.
Faults are chosen by files in ``$FAKE_DIR``: ``fail`` and ``hang`` hold a text; the first call that contains it fails
(printing the file ``fail.output``) or hangs until it is killed.
"""

import os
import re
import shutil
import sys
import tarfile
import time
from pathlib import Path

FAKE_DIR = Path(os.environ['FAKE_DIR'])
HERE = Path(sys.argv[0])
SITE = HERE.parent.parent / 'lib' / 'python3.11' / 'site-packages'
ARGUMENTS = sys.argv[1:]
TEXT = ' '.join(ARGUMENTS)


def installed(name: str) -> str:
    """Version of a distribution in the fake environment, or an empty string."""
    found = [path.name for path in SITE.glob('*.dist-info') if path.name.startswith(name.replace('-', '_') + '-')]
    return found[0].split('-')[1].removesuffix('.dist') if found else ''


def add(name: str, version: str) -> None:
    """Install a distribution in place of another version of it."""
    for path in SITE.glob(f'{name.replace("-", "_")}-*.dist-info'):
        path.rmdir()
    (SITE / f'{name.replace("-", "_")}-{version}.dist-info').mkdir(parents=True)


def misbehave() -> None:
    """Fail or hang if the test asked for it."""
    for fault in ('hang', 'fail'):
        wish = FAKE_DIR / fault
        if wish.exists() and wish.read_text() in TEXT:
            if fault == 'fail':
                print((FAKE_DIR / 'fail.output').read_text())
                sys.exit(1)
            (FAKE_DIR / 'hanging').write_text(str(os.getpid()))
            time.sleep(120)


def requirement(line: str) -> None:
    """Install one requirement line of pip."""
    if line.endswith('.whl'):
        line = '=='.join(Path(line).name.split('-')[:2])
    found = re.match(r'([\w.-]+?)(?:={2,3}([\w.+]+))?(?:[<;\s].*)?$', line)
    if found:
        add(found.group(1), found.group(2) or '1.0')


def pip(arguments: list[str]) -> None:
    """The pip commands that the set-up uses."""
    verb, rest = arguments[0], arguments[1:]
    if verb == 'install':
        if '-e' in rest:
            add('imbdense', '0.1.0')
            return
        files = [rest[index + 1] for index, word in enumerate(rest) if word == '-r']
        skip = {index + 1 for index, word in enumerate(rest) if word in ('-r', '-c')}
        plain = [word for index, word in enumerate(rest) if index not in skip and not word.startswith('-')]
        for file in files:
            plain += Path(file).read_text().splitlines()
        for line in plain:
            requirement(line)
    elif verb == 'download':
        folder = Path(rest[rest.index('-d') + 1])
        folder.mkdir(parents=True, exist_ok=True)
        source = FAKE_DIR / 'onedl_mmcv-2.3.6'
        source.mkdir(exist_ok=True)
        with tarfile.open(folder / 'onedl_mmcv-2.3.6.tar.gz', 'w:gz') as archive:
            archive.add(source, 'onedl_mmcv-2.3.6')
    elif verb == 'wheel':
        folder = Path(rest[rest.index('-w') + 1])
        folder.mkdir(parents=True, exist_ok=True)
        (folder / 'onedl_mmcv-2.3.6-cp311-cp311-linux_x86_64.whl').write_text('a wheel')


def code(source: str) -> None:
    """The snippets that the set-up lets the environment run."""
    if 'torch.__version__' in source:
        sys.exit(1) if not installed('torch') else print('torch', installed('torch'))
    elif 'mmcv.ops' in source:
        sys.exit(0 if installed('onedl-mmcv') or (FAKE_DIR / 'foreign_ops').exists() else 1)
    elif 'CUDA_HOME' in source:
        print('cuda False None')
    elif 'packages_distributions' in source:
        print('by', *[name for name in ('onedl-mmcv', 'mmcv-lite', 'mmcv') if installed(name)])
    elif 'find_spec' in source:
        names = {'mmengine': ('onedl-mmengine', 'mmengine'), 'mmcv': ('onedl-mmcv', 'mmcv'),
                 'mmdet': ('onedl-mmdetection', 'mmdet'), 'mmseg': ('onedl-mmsegmentation', 'mmsegmentation')}
        print('found', *[module for module, found in names.items() if any(map(installed, found))])


with open(FAKE_DIR / 'calls', 'a') as log:
    log.write(TEXT.replace('\n', ' ') + '\n')
misbehave()
if ARGUMENTS[:2] == ['-m', 'venv']:
    venv = Path(ARGUMENTS[2])
    (venv / 'bin').mkdir(parents=True, exist_ok=True)
    (venv / 'lib' / 'python3.11' / 'site-packages').mkdir(parents=True)
    (venv / 'pyvenv.cfg').write_text('version = 3.11.7\n')
    shutil.copy(HERE, venv / 'bin' / 'python')
elif ARGUMENTS[:2] == ['-m', 'pip']:
    pip(ARGUMENTS[2:])
elif ARGUMENTS[:1] == ['-c']:
    code(ARGUMENTS[1])
elif ARGUMENTS[:3] == ['-m', 'imbdense', 'doctor']:
    print('Works: base, mm.')
