"""A finished round of pseudo-labels on disk, read back: which image has which label map, and is the round whole?"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

from imbdense.data.pseudo.sidecar import FORMAT, SIDECAR, SidecarError

REPORT = 'pseudo_report.json'
CURE = 'Run the same `imbdense pseudo-label` command again (what is finished is kept), or remove the folder first.'


@dataclass(frozen=True)
class PseudoLabelFolder:
    """The label maps of one round of a segmentor.

    Attributes:
        folder: of the round. classes: names, in the order of the values in the label maps.
        files: image below the folder of images -> (name of its label or ``None``, its size in bytes). ``None``: the
            image was left out, being labelled in the config or broken.
        predicted, kept: (C,) pixels of each class that the model predicted, and that the rule kept.
    """

    folder: Path
    classes: tuple[str, ...]
    files: Mapping[str, tuple[str | None, int]]
    predicted: tuple[int, ...]
    kept: tuple[int, ...]

    def name_of(self, image: str | Path) -> str | None:
        """The name of the label of an image, ``None`` if it was left out.

        Images are known by the end of their path (``a/b.jpg`` below the folder that was labelled), so both folders
        may be moved.

        Raises:
            SidecarError: the round knows no such image, or one of another size in bytes.
        """
        parts = PurePath(image).parts
        ends = ('/'.join(parts[start:]) for start in range(len(parts)))
        known = next((end for end in ends if end in self.files), None)
        if known is None:
            raise SidecarError(f'{self.folder} knows nothing of the image {image}: it was not among those that were '
                               f'labelled. Name the same images here as in `imbdense pseudo-label`.')
        name, size = self.files[known]
        if name is not None and Path(image).stat().st_size != size:
            raise SidecarError(f'{image} is not the image that was labelled in {self.folder}: it has '
                               f'{Path(image).stat().st_size} bytes, the labelled one had {size}. Label it anew.')
        return name

    def label(self, name: str) -> Path:
        """The file of a label map."""
        return self.folder / 'labels' / f'{name}.png'

    def confidence(self, name: str) -> Path:
        """The file of the confidences, floor(255 p) of every pixel."""
        return self.folder / 'confidence' / f'{name}.png'


def read_label_folder(folder: str | Path) -> PseudoLabelFolder:
    """Read sidecar and report of a folder that ``imbdense pseudo-label`` made with a segmentor.

    Raises:
        SidecarError: sidecar or report is missing, broken or lacks an entry; they are of different rounds; the labels
            are boxes. The message names the file and the cure.
    """
    place = Path(folder)
    sidecar = _read(place / SIDECAR, 'it is no folder of pseudo-labels, or its making was stopped at the start')
    report = _read(place / REPORT, 'the round is not finished')
    if _entry(sidecar, 'format', place / SIDECAR) != FORMAT:
        raise SidecarError(f'{place / SIDECAR} has format {sidecar["format"]}, expected {FORMAT}. {CURE}')
    if _entry(sidecar, 'task', place / SIDECAR) != 'segmentation':
        raise SidecarError(f'{place} holds pseudo boxes. They are a COCO file: read {place / "pseudo_labels.json"} '
                           f'with imbdense.AnyCocoDataset.')
    made_by = {**_entry(report, 'identity', place / REPORT), 'rule': _entry(report, 'rule', place / REPORT)}
    other = [key for key, value in made_by.items() if _entry(sidecar, key, place / SIDECAR) != value]
    if other:
        words = '; '.join(f'{key}: {sidecar[key]} in {SIDECAR}, {made_by[key]} in {REPORT}' for key in other)
        raise SidecarError(f'{place} mixes two rounds ({words}). Remove the folder and label anew.')
    table = _entry(report, 'table', place / REPORT)
    steps = [tuple(map(int, step['left'])) for step in table['filters']]
    files = {file: (name, int(size)) for file, (name, size) in _entry(report, 'files', place / REPORT).items()}
    return PseudoLabelFolder(place, tuple(table['classes']), files, steps[0], steps[-1])


def _read(path: Path, without: str) -> dict[str, Any]:
    """A JSON object."""
    try:
        content = json.loads(path.read_text(encoding='utf-8'))
    except FileNotFoundError as error:
        raise SidecarError(f'there is no {path}: {without}. {CURE}') from error
    except (OSError, ValueError) as error:
        raise SidecarError(f'{path} is corrupt ({error}). Remove {path.parent} and label anew.') from error
    if not isinstance(content, dict):
        raise SidecarError(f'{path} is corrupt (no JSON object). Remove {path.parent} and label anew.')
    return content


def _entry(content: Mapping[str, Any], key: str, path: Path) -> Any:
    """An entry that must be there."""
    if key not in content:
        raise SidecarError(f'{path} has no entry {key!r}; it is damaged or of an older version. Remove {path.parent} '
                           f'and label anew.')
    return content[key]
