"""The record of a finished scene: what was asked, what came out, and the sha256 of every file."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

from imbdense import __version__
from imbdense.data.scene.config import SceneConfig

MANIFEST = 'manifest.json'
TIMING = 'timing.json'
FORMAT = 1


class Manifest:
    """What the records of scenes, pairs of dates and their clouds share; each is a dataclass with these fields.

    ``version``: of the format. ``config``: what was asked; ``inputs``: sha256 of the files it names; ``libs``: versions
    that decide about bytes; ``files``: sha256 by relative path. Seconds are kept apart in ``timing.json``, which is not
    hashed.
    """

    version: int
    config: dict[str, Any]
    inputs: dict[str, str]
    libs: dict[str, str]
    files: dict[str, str]

    def to_json(self) -> str:
        """Return the text of ``manifest.json``."""
        return json.dumps(asdict(self), indent=1, allow_nan=False) + '\n'  # type: ignore[call-overload]

    def digest(self) -> str:
        """Return the sha256 of the manifest's text: one number for the whole."""
        return hashlib.sha256(self.to_json().encode('utf-8')).hexdigest()


Kind = TypeVar('Kind', bound=Manifest)


@dataclass(frozen=True)
class SceneManifest(Manifest):
    """Content of ``manifest.json``; equal for equal configuration and libraries, whatever the number of workers.

    ``counts``: 'pixels' (clean masks), 'annotated_pixels' (written masks), 'instances' (in the scene),
    'visible_instances' (in at least one image), 'images' (that show the class), each by class name. ``shares``: pixels
    of the clean masks over all pixels with a class. ``imbalance_ratio``: max/min pixels over the object classes the
    dial controls and that are present; ``mix``: what the dial was asked. ``files``: sha256 by relative path.
    """

    version: int
    seed: int
    config: dict[str, Any]
    inputs: dict[str, str]
    libs: dict[str, str]
    num_images: int
    gsd: float
    counts: dict[str, dict[str, int]]
    shares: dict[str, float]
    imbalance_ratio: float | None
    mix: dict[str, Any]
    files: dict[str, str]


def library_versions() -> dict[str, str]:
    """Return the versions that decide about the bytes of a scene; absent libraries are left out."""
    versions = {'imbdense': __version__}
    for label, names in {'numpy': ('numpy',), 'scipy': ('scipy',), 'pillow': ('pillow',), 'rasterio': ('rasterio',),
                         'open3d': ('open3d-cpu', 'open3d')}.items():
        for name in names:
            try:
                versions[label] = importlib.metadata.version(name)
                break
            except importlib.metadata.PackageNotFoundError:
                continue
    return versions


def input_digests(config: SceneConfig) -> dict[str, str]:
    """Return the sha256 of the files the configuration names (GeoJSON, elevation model)."""
    paths = {'layout.geojson': config.layout.geojson, 'terrain.dsm': config.terrain.dsm}
    return {name: file_digest(Path(path)) for name, path in paths.items() if path is not None}


def file_digest(path: Path) -> str:
    """Return the sha256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def read_manifest(folder: str | Path) -> SceneManifest:
    """Return the manifest of a scene folder.

    Raises:
        FileNotFoundError: there is none (the scene was never finished).
        ValueError: it is damaged or of another format.
    """
    path = Path(folder) / MANIFEST
    try:
        content = json.loads(path.read_text(encoding='utf-8'))
        manifest = SceneManifest(**content)
    except (json.JSONDecodeError, UnicodeDecodeError, TypeError) as error:
        raise ValueError(f'{path} is no scene manifest ({error}); delete the scene folder and generate it again.'
                         ) from error
    if manifest.version != FORMAT:
        raise ValueError(f'{path} has format {manifest.version}, this version writes {FORMAT}; generate it again.')
    return manifest


def finished_scene(folder: Path, config: SceneConfig) -> SceneManifest | None:
    """Return the manifest of ``folder`` if it holds exactly this scene, whole; else ``None``."""
    return finished_folder(SceneManifest, FORMAT, folder, config.to_dict(), config)


def finished_folder(
    kind: type[Kind], version: int, folder: Path, config: dict[str, Any], scene: SceneConfig
) -> Kind | None:
    """Return the manifest of ``folder`` if it holds exactly what is asked, whole; else ``None``.

    Compared are format, configuration, the input files of the scene, library versions, and the sha256 of every file.
    """
    try:
        manifest = kind(**json.loads((folder / MANIFEST).read_text(encoding='utf-8')))
    except (OSError, json.JSONDecodeError, UnicodeDecodeError, TypeError):
        return None
    asked = (version, config, input_digests(scene), library_versions())
    if (manifest.version, manifest.config, manifest.inputs, manifest.libs) != asked:
        return None
    whole = all((folder / name).is_file() and file_digest(folder / name) == digest
                for name, digest in manifest.files.items())
    return manifest if whole else None
