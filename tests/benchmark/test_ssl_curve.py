"""The label-volume curve: nested images, lines, honest words about gains, page, picture."""

from __future__ import annotations

import json
import math

import pytest

from imbdense.benchmark.ssl_curve import CurveData, curve_runs, labelled_part
from imbdense.benchmark.ssl_curve_figure import draw_curve
from imbdense.benchmark.ssl_curve_page import curve_page, findings, verdict

CLASSES = ('ground', 'mast')


@pytest.fixture
def runs(tmp_path):
    """Three volumes, three seeds: the gain is lost at 1 %, clear at 5 %, uncertain at 25 %; ECE always rises by .01."""
    found = curve_runs(tmp_path / 'c.py', CurveData(400, CLASSES), {}, [1, 5, 25], [0, 1, 2], tmp_path / 'runs')
    gains = {'1%': (-0.05, -0.06, -0.055), '5%': (0.1, 0.11, 0.1), '25%': (0.05, -0.04, 0.01)}
    for run in found:
        semi = run.method.name == 'semi'
        gain = gains[run.suite.name][run.seed] if semi else 0.0
        scores = {'mIoU': 0.5 + 0.01 * run.seed + gain, 'ECE': 0.02 + 0.01 * semi, 'cwECE': 0.02,
                  'IoU/ground': 0.9, 'IoU/mast': 0.1 + gain, 'cwECE/ground': 0.01, 'cwECE/mast': 0.02 + 0.001 * semi}
        run.folder.mkdir(parents=True)
        (run.folder / 'result.json').write_text(json.dumps({'metrics': scores}))
    return found


def test_smaller_volumes_lie_inside_larger_ones():
    small, large = labelled_part(400, 1, 3), labelled_part(400, 5, 3)
    assert len(small) == 4 and len(large) == 20 and set(small) < set(large)
    assert labelled_part(400, 1, 3) == small != labelled_part(400, 1, 4)
    assert len(labelled_part(50, 1, 0)) == 1 and labelled_part(3, 100, 0) == [0, 1, 2]


def test_both_runs_of_a_seed_have_the_same_images(runs):
    assert len(runs) == 2 * 3 * 3
    base, semi = runs[:2]
    assert base.suite is semi.suite and base.method.lines == {'model.unsup_weight': 0.0} and not semi.method.lines
    assert base.suite.lines['train_dataloader.dataset.labeled.indices'] == labelled_part(400, 1, 0)


def test_verdicts():
    assert verdict((0.1, 0.05)) == 'gain' and verdict((-0.1, 0.05)) == 'loss'
    assert verdict((0.1, 0.05), error=True) == 'loss' and verdict((0.01, 0.05)) == 'not significant'
    assert verdict((0.1, math.nan)) == 'one seed' and verdict((math.nan, math.nan)) == 'no pair'


def test_losses_and_uncertain_gains_are_said(runs):
    words = findings(runs)
    assert words[0].startswith('1% of the labels (4 images): **Unlabelled images hurt**: mIoU -0.055')
    assert words[1].startswith('5% of the labels (20 images): Unlabelled images pay')
    assert words[2].startswith('25% of the labels (100 images): **No significant gain**')
    assert words[3] == 'Calibration (ECE) became worse at 1%, 5%, 25% and better at no volume.'


def test_page_and_picture(runs, tmp_path):
    page = curve_page(runs, CLASSES, 'c.py')
    assert '| 1% | +0.000 ± 0.000 | -0.055 ± 0.012* ↓ |' in page
    assert '| 25% | 100 | 3 |' in page and page.count('not significant') >= 1
    assert draw_curve(runs, CLASSES, tmp_path / 'c.png')
    assert (tmp_path / 'c.png').read_bytes().startswith(b'\x89PNG')
    assert not draw_curve([], CLASSES, tmp_path / 'none.png')
    assert '| 1% | 4 | 0 | – |' in curve_page(
        curve_runs(tmp_path / 'c.py', CurveData(400, CLASSES), {}, [1], [0], tmp_path / 'empty'), CLASSES, 'c.py')


def test_config_must_be_semi_supervised_and_measures_calibration(tmp_path):
    pytest.importorskip('mmseg')
    from mmengine.config import Config

    from imbdense.benchmark.runs import write_config
    from imbdense.benchmark.ssl_curve import calibration_lines, read_config
    from imbdense.cli.main import UserError
    from imbdense.utils.paths import configs_dir

    with pytest.raises(UserError, match=r'no config of imbdense\.SemiSegmentor'):
        read_config(configs_dir() / 'segmentation' / 'unet_scenes_ce.py')
    assert len(calibration_lines(Config({'val_evaluator': {'type': 'imbdense.ConfusionMetric'}}))['val_evaluator']) == 2
    path = configs_dir() / 'benchmark' / 'unet_shapes_fixmatch.py'
    lines = calibration_lines(Config.fromfile(str(path)))
    assert len(lines['val_evaluator']) == 2 and calibration_lines(Config(lines)) == {}
    run = curve_runs(path, CurveData(400, CLASSES), {}, [5], [0], tmp_path)[0]
    written = Config.fromfile(str(write_config(run, configs_dir())))
    assert written.model.unsup_weight == 0 and len(written.train_dataloader.dataset.labeled.indices) == 20
