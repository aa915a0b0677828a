"""Finished folders of pseudo-labels, written by hand."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image


def write_label_folder(
    folder: Path, images: Sequence[Path], labels: Sequence[np.ndarray], classes: Sequence[str],
    left_out: Sequence[Path] = (), confidence: int = 200,
) -> Path:  # fmt: skip
    """What `imbdense pseudo-label` leaves of ``images`` with these label maps (255 = rejected). Returns folder."""
    identity = {'task': 'segmentation', 'checkpoint': 'a1', 'config': 'b2', 'logit_adjust_tau': 0.0}
    rule = {'type': 'imbdense.FixedThreshold', 'threshold': 0.5}
    kept = sum(np.bincount(label.reshape(-1), minlength=256)[: len(classes)] for label in labels)
    table = {'unit': 'pixels', 'classes': list(classes), 'filters': [
        {'filter': 'predicted', 'left': (kept + 1).tolist()}, {'filter': 'class threshold', 'left': kept.tolist()}]}
    files = {image.name: [image.stem, image.stat().st_size] for image in images}
    files |= {image.name: [None, image.stat().st_size] for image in left_out}
    for image, label in zip(images, labels):
        for kind, values in (('labels', label), ('confidence', np.full(label.shape, confidence, np.uint8))):
            target = folder / kind / f'{image.stem}.png'
            target.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(values).save(target)
    write(folder / 'pseudo_sidecar.json', {'format': 1, **identity, 'rule': rule, 'images': 'c3'})
    write(folder / 'pseudo_report.json', {'identity': identity, 'rule': rule, 'table': table, 'files': files})
    return folder


def write(path: Path, content: Any) -> None:
    """A JSON file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
