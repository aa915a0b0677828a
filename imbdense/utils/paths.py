"""Where the files that are no Python modules lie: the one function that finds the configs."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path

INSTALLED = 'share/imbdense/configs/'


def checkout_dir() -> Path | None:
    """The checkout that this package is imported from, or None if it was installed as a wheel."""
    root = Path(__file__).resolve().parents[2]
    return root if (root / 'setup.py').is_file() and (root / 'configs').is_dir() else None


def configs_dir() -> Path:
    """The folder ``configs``: that of the checkout, else the one installed with the package.

    Raises:
        FileNotFoundError: neither exists; the message says how to get them.
    """
    root = checkout_dir()
    if root is not None:
        return root / 'configs'
    installed = _installed_configs()
    if installed is not None:
        return installed
    raise FileNotFoundError(
        f'the configs of imbdense were not found: {Path(__file__).resolve().parents[2]} is no checkout, and no '
        f'installed distribution brings share/imbdense/configs. Reinstall the package '
        f'(pip install --force-reinstall --no-deps imbdense), or work from a checkout (pip install --no-deps -e .).'
    )


def _installed_configs() -> Path | None:
    """Asked from the distribution's own list of files, so that user, target and system schemes all work."""
    try:
        files = metadata.distribution('imbdense').files or []
    except metadata.PackageNotFoundError:
        return None
    for file in files:
        if INSTALLED in file.as_posix():
            path = Path(str(file.locate())).resolve()
            return next(parent for parent in path.parents if parent.parts[-2:] == ('imbdense', 'configs'))
    return None
