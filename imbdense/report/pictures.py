"""The stored pictures of a run: find a record, draw image, truth and prediction."""

from __future__ import annotations

from typing import Any

from imbdense.report.images import Picture, draw_boxes, hex_rgb, overlay_label, read_index, read_rgb
from imbdense.report.story import Story
from imbdense.report.workdir import Run

UNREADABLE = (OSError, KeyError, ValueError, TypeError, IndexError)
"""What a broken record or picture raises; a report leaves it out and says so."""


def records_of(run: Run, role: str, name: str | None = None) -> list[dict[str, Any]]:
    """Records of a role ('worst', 'showcase') and, if given, of a class."""
    return [
        record
        for record in run.worst
        if isinstance(record, dict)
        and record.get('role', 'worst') == role
        and (name is None or record.get('class') == name)
    ]


def draw_record(story: Story, run: Run, record: dict[str, Any]) -> tuple[Picture, Picture, Picture]:
    """(image, image with truth, image with prediction) of a record.

    Raises:
        one of :data:`UNREADABLE` when a file is missing or broken, or the record is.
    """
    image = read_rgb(run.worst_dir / record['image'])
    colours = [hex_rgb(story.colours[name]) for name in story.classes]
    focus = story.classes.index(record['class'])
    if record.get('kind') == 'detection':
        truth, found = record['truth_boxes'], record['predicted_boxes']
        return image, _draw(story, image, truth, colours, focus), _draw(story, image, found, colours, focus)
    truth, found = read_index(run.worst_dir / record['truth']), read_index(run.worst_dir / record['prediction'])
    return image, overlay_label(image, truth, colours, focus), overlay_label(image, found, colours, focus)


def numbers_of(record: dict[str, Any]) -> str:
    """What went wrong in the image, in numbers."""
    if record.get('kind') == 'detection':
        return f'{record.get("missed", 0)} of {record.get("objects", 0)} objects missed, {record.get("false", 0)} false'
    truth, found = int(record.get('truth_pixels') or 0), int(record.get('predicted_pixels') or 0)
    return f'IoU {100 * float(record.get("iou") or 0):.1f} % ({found:,} pixels predicted, {truth:,} true)'


def _draw(story: Story, image: Picture, boxes: list[list[float]], colours: list[Any], focus: int) -> Picture:
    """Boxes of all classes; names (and scores) only on those of the rare class, to keep crowded images readable."""
    texts = []
    for box in boxes:
        score = f' {box[5]:.2f}' if len(box) > 5 else ''
        texts.append(f'{story.classes[int(box[4])]}{score}' if int(box[4]) == focus else '')
    return draw_boxes(image, [box[:4] for box in boxes], [colours[int(box[4])] for box in boxes], texts)
