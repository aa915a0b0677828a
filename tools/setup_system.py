"""System libraries: found out what is missing, install it with apt where that is allowed, else say the command."""

from __future__ import annotations

import ctypes.util
import importlib.util
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

from setup_runner import Runner, StepFailedError

LIBRARIES: dict[str, tuple[str, str]] = {
    'GL': ('libgl1', 'OpenCV'),
    'glib-2.0': ('libglib2.0-0', 'OpenCV'),
    'gomp': ('libgomp1', 'scikit-learn, open3d'),
    'usb-1.0': ('libusb-1.0-0', 'open3d'),
}
"""Name for the linker -> (Debian package, who needs it)."""


def has_module(name: str) -> bool:
    """True if this interpreter has the module ``name``."""
    return importlib.util.find_spec(name) is not None


def missing_packages() -> dict[str, str]:
    """Debian package -> who needs it, for everything that this machine lacks."""
    missing = {
        package: user for library, (package, user) in LIBRARIES.items() if ctypes.util.find_library(library) is None
    }
    if shutil.which(os.environ.get('CXX', 'g++')) is None:
        missing['g++'] = 'the compiled ops of mmcv'
    if not (Path(sysconfig.get_paths()['include']) / 'Python.h').exists():
        missing[f'python{sys.version_info[0]}.{sys.version_info[1]}-dev'] = 'the compiled ops of mmcv'
    return missing


def ensure(runner: Runner) -> None:
    """Install what is missing. A library that cannot be installed is named with its command; the set-up goes on."""
    missing = missing_packages()
    if missing:
        users = sorted({user for name in missing.values() for user in name.split(', ')})
        runner.say(f'      missing: {" ".join(missing)} (for {", ".join(users)})')
        install_packages(runner, list(missing), required=False)


def install_packages(runner: Runner, packages: list[str], required: bool) -> None:
    """Install Debian packages as root or with sudo where it asks for no password.

    Raises:
        StepFailedError: it was not possible and ``required``; otherwise the command is printed.
    """
    prefix = privileges()
    by_hand = f'sudo apt-get update && sudo apt-get install -y {" ".join(packages)}'
    if prefix is not None and shutil.which('apt-get'):
        environment = {'DEBIAN_FRONTEND': 'noninteractive'}
        runner.attempt([*prefix, 'apt-get', 'update'], environment)
        install = [*prefix, 'apt-get', 'install', '-y', '--no-install-recommends', *packages]
        if runner.attempt(install, environment)[0] == 0:
            return
    message = (f'{" ".join(packages)} could not be installed from here. Please run, then start this again:\n'
               f'          {by_hand}\n          (other systems: the packages with these libraries)')
    if required:
        raise StepFailedError(message)
    runner.say('      ! ' + message)


def privileges() -> list[str] | None:
    """Command prefix that gives root rights without a password, or None."""
    if os.geteuid() == 0:
        return []
    if shutil.which('sudo') and subprocess.run(
        ['sudo', '-n', 'true'], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ).returncode == 0:
        return ['sudo', '-n']
    return None
