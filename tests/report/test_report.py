"""The report from hand-made work dirs: numbers, intervals, missing and broken parts, self-containedness."""

from __future__ import annotations

import json
import math
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image
from scipy import stats

from imbdense.report.build import load_story, render
from imbdense.report.comparison import class_interval, group_runs, mean_of, paired_class
from imbdense.report.measures import class_value, rare_classes
from imbdense.report.story import common_start
from imbdense.report.workdir import WorkDirError, read_run
from tests.report.work_dirs import CLASSES, add_score_artifacts, detection_run, run_json, segmentation_run, write


class Checker(HTMLParser):
    """Collects outside references and checks that elements are closed in order."""

    VOID = {'meta', 'img', 'br', 'link', 'input'}

    def __init__(self) -> None:
        super().__init__()
        self.stack: list[str] = []
        self.outside: list[str] = []
        self.ids: set[str] = set()
        self.links: set[str] = set()

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        for key in ('src', 'href', 'data', 'srcset', 'action'):
            value = values.get(key)
            if value and not value.startswith(('data:', '#')):
                self.outside.append(value)
            if value and value.startswith('#'):
                self.links.add(value[1:])
        if 'id' in values:
            self.ids.add(values['id'])
        if tag not in self.VOID:
            self.stack.append(tag)

    def handle_startendtag(self, tag, attrs):
        pass

    def handle_endtag(self, tag):
        assert self.stack.pop() == tag, f'</{tag}> closes another element'


def check_page(text: str) -> Checker:
    checker = Checker()
    checker.feed(text)
    assert checker.stack == [] and checker.outside == []
    assert checker.links <= checker.ids
    assert not re.search(r'@import|url\((?!["\']?data:)', text)
    assert 'nan' not in re.sub(r'base64,[A-Za-z0-9+/=]+', '', text).lower().replace('dominant', '').split('<main>')[1]
    return checker


@pytest.fixture
def runs(tmp_path):
    """Three seeds of two experiments."""
    paths = [segmentation_run(tmp_path, 'plain', seed, skill=0.06, worst=seed == 0) for seed in range(3)]
    return paths + [segmentation_run(tmp_path, 'rebalanced', s, skill=0.6, worst=s == 0) for s in range(3)]


def test_seeds_become_one_experiment_with_the_right_interval(runs):
    story = load_story(runs)
    assert [(e.name, len(e.runs)) for e in story.experiments] == [('plain', 3), ('rebalanced', 3)]
    values = [100 * run.last.scalars['IoU/bike'] for run in story.experiments[1].runs]
    mean, half = class_interval(story.experiments[1], story.scale, 'bike')
    assert mean == pytest.approx(np.mean(values))
    assert half == pytest.approx(stats.t.ppf(0.975, 2) * np.std(values, ddof=1) / math.sqrt(3))
    ours, base = (([r.last.scalars['IoU/bike'] for r in e.runs]) for e in story.experiments[::-1])
    gain, _ = paired_class(story.experiments[1], story.experiments[0], story.scale, 'bike')
    assert gain == pytest.approx(100 * np.mean(np.subtract(ours, base)))
    assert story.best is story.experiments[1] and story.rare == ['pole', 'bike', 'fence']


def test_page_holds_every_section_and_no_outside_reference(runs):
    add_score_artifacts(runs[0])
    add_score_artifacts(runs[3])
    text = render(load_story(runs), 'A <title> & more')
    checker = check_page(text)
    names = {
        'result',
        'before-and-after',
        'groups',
        'classes',
        'worst-images',
        'confusion',
        'curves',
        'ranking',
        'calibration',
        'data',
        'runs',
    }
    assert names <= checker.ids
    assert 'A &lt;title&gt; &amp; more' in text and '<tag>' not in text.split('<main>')[1]
    assert text.count('data:image/jpeg;base64,') == 2 * 3 * 2 + 2 * 4
    assert 'Imbalance ratio <b>5,778 : 1</b>' in text
    assert render(load_story(runs), 'A <title> & more') == text


def test_one_run_shows_first_to_last(tmp_path):
    story = load_story([segmentation_run(tmp_path, 'plain', None, skill=0.5)])
    text = render(story)
    check_page(text)
    assert 'first → last evaluation' in text and story.best is None
    assert math.isnan(mean_of(story.baseline, story.scale)[1])


def test_detection_with_classes_in_another_order(tmp_path):
    paths = [
        detection_run(tmp_path, name, seed, skill=skill) for name, skill in (('a', 0.05), ('b', 0.3)) for seed in (0, 1)
    ]
    story = load_story(paths)
    assert story.rare == ['OtherVehicle'] and story.scale.measure == 'AP'
    assert story.groups == {'head': ['Car'], 'tail': ['OtherVehicle']}
    assert class_interval(story.experiments[1], story.scale, 'OtherVehicle')[0] == pytest.approx(30)
    text = render(story)
    check_page(text)
    assert 'Precision and recall of the rare classes at IoU 0.5' in text and '1 of 2 objects missed' in text


def test_absent_class_is_in_no_mean_and_named(runs):
    story = load_story(runs)
    assert math.isnan(class_interval(story.baseline, story.scale, 'sign')[0])
    assert 'sign' not in story.rare


def test_killed_run_and_broken_files_still_give_a_report(tmp_path):
    path = segmentation_run(tmp_path, 'plain', 0)
    (path / 'imbdense/val_500_confusion.json').write_text('{"artifact": {"table": [[1, 2')
    (path / 'imbdense/val_400_metrics.json').write_text('[]')
    (path / 'imbdense/worst').mkdir()
    (path / 'imbdense/worst/index.json').write_text('[{"class": "bike", "image": "gone.png"}, 7]')
    info = run_json('plain', 0)
    info['finished'] = None
    write(path / 'imbdense/run.json', info)
    with open(next(path.glob('*/vis_data/scalars.json')), 'a') as file:
        file.write('{"loss": 0.1, "st')
    story = load_story([path])
    text = render(story)
    assert 'val_500_confusion.json cannot be read' in text and 'broken lines' in text
    assert 'not finished' in text and 'the stored picture cannot be read' in text
    assert story.runs[0].last.scalars['mIoU'] > 0


def test_run_without_evaluation_shows_the_loss(tmp_path):
    path = segmentation_run(tmp_path, 'plain', 0)
    for file in (path / 'imbdense').glob('val_*'):
        file.unlink()
    text = render(load_story([path]))
    assert 'No evaluation has finished yet' in text and 'training loss' in text


def test_foreign_run_without_the_hook_uses_the_log(tmp_path):
    vis = tmp_path / 'foreign/2024/vis_data/scalars.json'
    vis.parent.mkdir(parents=True)
    vis.write_text(
        '{"loss": 1.0, "lr": 0.1, "step": 10}\n{"mIoU": 41.5, "aAcc": 80.0, "step": 20}\n{"mIoU": NaN, "step": 30}\n'
    )
    story = load_story([tmp_path / 'foreign'])
    assert mean_of(story.baseline, story.scale)[0] == 41.5
    assert story.scale.factor == 1.0 and story.scale.mean_key == 'mIoU'
    assert 'did not store a class list' in render(story)


@pytest.mark.parametrize(
    ('content', 'words'), [(None, 'is not a folder'), ('', 'holds no evaluation'), ('{broken', 'holds no evaluation')]
)
def test_empty_work_dir_is_named(tmp_path, content, words):
    path = tmp_path / 'work'
    if content is not None:
        (path / 'imbdense').mkdir(parents=True)
        if content:
            (path / 'imbdense/run.json').write_text(content)
    with pytest.raises(WorkDirError, match=words) as error:
        read_run(path)
    assert str(path) in str(error.value)


def test_same_name_with_another_config_is_another_experiment(tmp_path):
    paths = [segmentation_run(tmp_path / folder, 'net', 0) for folder in ('a', 'b')]
    info = run_json('net', 0)
    info['config_hash'] = 'other'
    write(paths[1] / 'imbdense/run.json', info)
    names = [experiment.name for experiment in group_runs([read_run(path) for path in paths])]
    assert names == ['net', 'net #2']


def test_grouping_by_name_and_mixed_settings(runs):
    story = load_story(runs, group_by=r'^(\w)')
    assert [(e.name, len(e.runs)) for e in story.experiments] == [('p', 3), ('r', 3)]
    info = run_json('plain', 1)
    info['config_hash'] = 'other'
    write(runs[1] / 'imbdense/run.json', info)
    assert 'differ in more than the seed' in render(load_story(runs, group_by=r'^(\w)'))
    with pytest.raises(ValueError, match='does not match'):
        load_story(runs, group_by='zzz')
    with pytest.raises(ValueError, match='not a regular expression'):
        load_story(runs, group_by='(')


def test_other_classes_and_unknown_baseline_are_refused(tmp_path, runs):
    other = detection_run(tmp_path, 'det')
    with pytest.raises(ValueError, match='different class lists'):
        load_story([runs[0], other])
    with pytest.raises(ValueError, match='not among the experiments'):
        load_story(runs, baseline='nobody')
    assert load_story(runs, baseline='rebalanced').baseline.name == 'rebalanced'


def test_values_in_percent_are_not_scaled_again(tmp_path):
    path = segmentation_run(tmp_path, 'plain', 0)
    for file in (path / 'imbdense').glob('val_*.json'):
        record = json.loads(file.read_text())
        for place in (record['scalars'], record.get('artifact', {}).get('scalars', {})):
            place.update({k: None if v is None else 100 * v for k, v in place.items()})
        file.write_text(json.dumps(record))
    story = load_story([path])
    assert story.scale.factor == 1.0
    assert 20 < mean_of(story.baseline, story.scale)[0] < 100


def test_object_sizes_and_cooccurrence_are_shown_when_counted(tmp_path):
    path = segmentation_run(tmp_path, 'plain', 0)
    info = run_json('plain', 0)
    info['class_counts'] |= {
        'cooccurrence': [[120] * 10 for _ in range(10)],
        'object_sizes': [[0, 0, 3, 1]] * 9 + [[0, 0, 0, 0]],
    }
    write(path / 'imbdense/run.json', info)
    text = render(load_story([path]))
    check_page(text)
    assert '<th title="≥ 4">' in text and '<th title="≥ 8">' in text and '≥ 2<' not in text
    assert 'Which classes occur together' in text


def test_common_start_of_names_is_cut_off():
    assert common_start(['net_a_ce', 'net_a_rare']) == 'net_a_'
    assert common_start(['net', 'network']) == '' and common_start(['net_x']) == ''
    assert common_start(['net_', 'net_b']) == ''


def test_keys_with_prefix_and_host_names():
    scalars = {'coco/bbox_AP/a/b': 0.5, 'coco/car_precision': 0.25, 'val/IoU/x': 0.1}
    assert class_value(scalars, 'AP', 'a/b') == 0.5
    assert class_value(scalars, 'AP', 'car') == 0.25
    assert class_value(scalars, 'IoU', 'x') == 0.1
    assert class_value(scalars, 'IoU', 'y') is None


def test_without_counts_no_class_is_called_rare(tmp_path):
    path = segmentation_run(tmp_path, 'plain', 0)
    info = run_json('plain', 0, counts=None)
    write(path / 'imbdense/run.json', info)
    for file in (path / 'imbdense').glob('*confusion.json'):
        file.unlink()
    story = load_story([path])
    assert rare_classes(story.runs, CLASSES) == [] and 'ClassCountHook' in render(story)


def test_figure_is_a_picture_with_and_without_pairs(tmp_path, runs):
    from imbdense.report.figure import write_figure

    write_figure(load_story(runs), tmp_path / 'with.png')
    write_figure(load_story(runs[1:3]), tmp_path / 'without.png')
    sizes = [Image.open(tmp_path / f'{name}.png').size for name in ('with', 'without')]
    assert sizes[0][1] > sizes[1][1] > 300


def test_neural_collapse_is_drawn_and_odd_files_are_left_out(tmp_path):
    folder = segmentation_run(tmp_path, 'plain')
    history = [
        {
            'step': step,
            'scalars': {'tail_angle': 90.0 - step / 10, 'nc1': None if step == 100 else 0.5, 'nc4': 0.1},
            'per_class': [{'class': name, 'weight_norm': 1.25, 'mean_norm': None} for name in CLASSES],
        }
        for step in (200, 100)
    ]
    write(folder / 'imbdense/neural_collapse.json', {'history': [*history, 'odd', {'step': 'x'}]})
    assert [record['step'] for record in read_run(folder).collapse] == [100, 200]
    text = render(load_story([folder]))
    check_page(text)
    assert 'smallest angle of tail vectors' in text and '1.25 / –' in text and 'NC2: classifier' not in text
    (folder / 'imbdense/neural_collapse.json').write_text('{')
    run = read_run(folder)
    assert run.collapse == [] and any('neural_collapse.json' in line for line in run.warnings)
    assert 'smallest angle' not in render(load_story([folder]))
