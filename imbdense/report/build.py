"""Work dirs in, one HTML text out."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path

from imbdense.report.page import page
from imbdense.report.sections.calibration import calibration_section
from imbdense.report.sections.change import change_section
from imbdense.report.sections.coco import coco_section
from imbdense.report.sections.collapse import collapse_section
from imbdense.report.sections.confusion import confusion_section
from imbdense.report.sections.curves import curve_section
from imbdense.report.sections.data import data_section
from imbdense.report.sections.diagnosis import diagnosis_section
from imbdense.report.sections.headline import headline
from imbdense.report.sections.ranking import ranking_section
from imbdense.report.sections.results import class_section, group_section
from imbdense.report.sections.runs import run_section, warning_box
from imbdense.report.sections.showcase import showcase_section
from imbdense.report.sections.worst import worst_section
from imbdense.report.story import Story, make_story
from imbdense.report.workdir import read_run


def load_story(work_dirs: Sequence[Path], *, group_by: str | None = None, baseline: str | None = None) -> Story:
    """Read work dirs and join them; the first experiment is the baseline unless another is named.

    Raises:
        WorkDirError, ValueError: a work dir is empty, or the runs do not fit together; the message names it.
    """
    return make_story([read_run(Path(path)) for path in work_dirs], group_by, baseline)


def render(story: Story, title: str | None = None) -> str:
    """The self-contained HTML of a story. Sections without content are left out. Equal stories give equal text."""
    names = ', '.join(experiment.name for experiment in story.experiments)
    subject = story.common.rstrip('-_. ') or 'Report'
    heading = title or f'{subject}: {names if len(story.experiments) < 5 else f"{len(story.experiments)} experiments"}'
    size = f'{len(story.runs)} run' + ('s' if len(story.runs) > 1 else '')
    subtitle = escape(f'{size} · {len(story.classes)} classes · {story.scale.measure} as the leading measure')
    return page(
        heading,
        subtitle,
        [
            ('Result', 'What happened to the rare classes', warning_box(story) + headline(story)),
            ('Before and after', 'Before and after', showcase_section(story)),
            ('Groups', 'Head, medium, tail', group_section(story)),
            ('Classes', 'Every class', class_section(story)),
            ('Worst images', 'Worst images of the rare classes', worst_section(story)),
            ('Confusion', 'Confusion', confusion_section(story)),
            ('Diagnosis', 'Where classes are lost', diagnosis_section(story)),
            ('Curves', 'Over training', curve_section(story)),
            ('Collapse', 'Neural collapse of the last layer', collapse_section(story)),
            ('Detection', 'Detection measures', coco_section(story)),
            ('Change', 'Change between dates', change_section(story)),
            ('Ranking', 'Ranking', ranking_section(story)),
            ('Calibration', 'Calibration', calibration_section(story)),
            ('Data', 'The data', data_section(story)),
            ('Runs', 'The runs', run_section(story)),
        ],
    )
