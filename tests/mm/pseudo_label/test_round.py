"""One off-line round, run as a user does: `imbdense pseudo-label`."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

pytest.importorskip('mmdet')
pytest.importorskip('mmseg')

from imbdense.cli.main import run_verb
from tests.helpers.two_ranks import run_two_ranks
from tests.mm.pseudo_label.cases import CLASSES, Case, detection, segmentation, spoil

FIXED = ('--rule', 'fixed', '--threshold', '0.8', '--negative', '0.7')
RESULTS = ('pseudo_labels.json', 'pseudo_report.json', 'pseudo_sidecar.json')


@pytest.fixture(scope='module')
def detector(tmp_path_factory: pytest.TempPathFactory) -> Case:
    """A detector whose unlabelled folder also has a broken and a labelled image."""
    root = tmp_path_factory.mktemp('detector')
    case = detection(root, kind='dense_softmax')
    spoil(case, root / 'data' / 'images' / 'val' / '000.png')
    return case


@pytest.fixture(scope='module')
def detected(detector: Case, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The finished folder of an uninterrupted run."""
    out = tmp_path_factory.mktemp('detected') / 'out'
    assert run_verb('pseudo-label', detector.arguments(out, *FIXED)) == 1  # one image is broken
    return out


def read(path: Path) -> Any:
    """A JSON file."""
    return json.loads(path.read_text())


def test_table_equals_the_file(detected: Path) -> None:
    """Counts per class in the report are those of the annotations; the filters only take away."""
    report, record = read(detected / 'pseudo_report.json'), read(detected / 'pseudo_labels.json')
    steps = {step['filter']: step['left'] for step in report['table']['filters']}
    assert list(steps) == ['predicted', 'minimum score', 'score band', 'class threshold', 'size']
    kept = [item for item in record['annotations'] if not item['iscrowd']]
    assert np.bincount([item['category_id'] - 1 for item in kept], minlength=3).tolist() == steps['size']
    ignored = [item for item in record['annotations'] if item['iscrowd']]
    assert len(ignored) == sum(steps['score band']) - sum(steps['class threshold'])
    assert kept and ignored
    assert min(item['score'] for item in kept) >= 0.8
    scores = [item['score'] for item in ignored]
    assert min(scores) >= 0.7 and max(scores) <= 0.8
    assert sum(steps['predicted']) > sum(steps['score band'])


def test_broken_and_labelled_images_are_named_and_left_out(detected: Path) -> None:
    report, record = read(detected / 'pseudo_report.json'), read(detected / 'pseudo_labels.json')
    names = [image['file_name'] for image in record['images']]
    assert names == [f'{index:03d}.png' for index in range(11)]
    (broken,) = report['broken']
    assert broken.endswith('zz_broken.png')
    ((copy, twin),) = report['leaks']['dropped'].items()
    assert copy.endswith('zz_copy.png') and twin['split'] == 'val'
    assert any('labelled in the config' in line for line in report['warnings'])


def test_boxes_are_those_of_the_model(detector: Case, detected: Path) -> None:
    from mmengine.config import Config

    from imbdense.mm.predictor import Predictor

    prediction = Predictor(Config.fromfile(str(detector.config)), detector.checkpoint)(detector.images / '002.png')
    record = read(detected / 'pseudo_labels.json')
    own = [item for item in record['annotations'] if item['image_id'] == 3]
    expected = prediction.boxes[prediction.scores >= 0.7]
    assert len(own) == len(expected)
    corners = np.array([item['bbox'] for item in own])
    np.testing.assert_allclose(corners[:, :2], expected[:, :2], atol=0.01)
    np.testing.assert_allclose(corners[:, 2:], expected[:, 2:] - expected[:, :2], atol=0.011)


LEARNED = ('class-balanced', 'class-adaptive', 'auto')


def on_ranks(case: Case, folder: Path, options: dict[str, tuple[str, ...]]) -> list[int]:
    """The verb on one of two ranks, once per name of ``options``."""
    os.environ['LOCAL_RANK'] = str(torch.distributed.get_rank())
    return [run_verb('pseudo-label', case.arguments(folder / name, '--traceback', *more))
            for name, more in options.items()]


@pytest.mark.slow
def test_two_ranks_equal_one(detector: Case, detected: Path, tmp_path: Path) -> None:
    """The same files; and the same thresholds where every rank counts its share (absolute ranks, 'auto', would double
    if both counted all)."""
    options = {rule: ('--rule', rule, '--outputs', str(detected / 'outputs')) for rule in LEARNED}
    found = run_two_ranks(on_ranks, detector, tmp_path / 'two', {'fixed': FIXED, **options})
    assert found == [[1] * 4] * 2
    for name in RESULTS:
        assert (tmp_path / 'two' / 'fixed' / name).read_bytes() == (detected / name).read_bytes(), name
    for rule, more in options.items():
        run_verb('pseudo-label', detector.arguments(tmp_path / 'one' / rule, *more))
        one, two = (read(tmp_path / ranks / rule / 'pseudo_report.json') for ranks in ('one', 'two'))
        assert one == two
        assert 0 < sum(one['table']['filters'][-1]['left']) < sum(one['table']['filters'][0]['left'])


KILLED = """
import os, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell starts background jobs with it ignored
from imbdense.cli.main import run_verb
from imbdense.mm.pseudo_label import outputs
real, seen = outputs.predict_record, []
def predict_record(*arguments):
    seen.append(1)
    if len(seen) == 11:
        os.kill(os.getpid(), int(sys.argv[1]))
    return real(*arguments)
outputs.predict_record = predict_record
sys.exit(run_verb('pseudo-label', sys.argv[2:]))
"""


@pytest.mark.slow
@pytest.mark.parametrize('how', [signal.SIGKILL, signal.SIGINT])
def test_stopped_run_goes_on(detector: Case, detected: Path, tmp_path: Path, how: signal.Signals) -> None:
    """kill -9 (or Ctrl-C) inside the second of two shards; the first is not made again, the result is the same."""
    arguments = detector.arguments(tmp_path / 'out', *FIXED)
    code = subprocess.run([sys.executable, '-c', KILLED, str(int(how)), *arguments], cwd=Path.cwd(),
                          capture_output=True, check=False, timeout=120).returncode
    assert code == (-9 if how == signal.SIGKILL else 130)
    shards = sorted((tmp_path / 'out' / 'outputs').glob('shard_*.npz'))
    assert [shard.name for shard in shards] == ['shard_00000.npz']
    assert not (tmp_path / 'out' / 'pseudo_labels.json').exists()
    before = shards[0].stat().st_mtime_ns
    assert run_verb('pseudo-label', arguments) == 1
    assert shards[0].stat().st_mtime_ns == before
    for name in RESULTS:
        assert (tmp_path / 'out' / name).read_bytes() == (detected / name).read_bytes(), name


def test_other_rule_or_model_is_refused(detector: Case, detected: Path, tmp_path: Path,
                                        capsys: pytest.CaptureFixture[str]) -> None:
    before = (detected / 'pseudo_labels.json').read_bytes()
    assert run_verb('pseudo-label', detector.arguments(detected, '--rule', 'fixed', '--threshold', '0.5')) == 2
    assert 'not overwritten' in capsys.readouterr().err
    other = tmp_path / 'other.pth'
    content = torch.load(detector.checkpoint, weights_only=True)
    torch.save({**content, 'note': 1}, other)
    changed = Case(detector.config, other, detector.images)
    assert run_verb('pseudo-label', changed.arguments(tmp_path / 'out', '--outputs', str(detected / 'outputs'))) == 2
    assert 'checkpoint' in capsys.readouterr().err
    assert (detected / 'pseudo_labels.json').read_bytes() == before


def test_no_pseudo_label_at_all(detector: Case, detected: Path, tmp_path: Path) -> None:
    """A threshold nothing reaches: a valid, empty annotation file, and a warning."""
    more = ('--rule', 'fixed', '--threshold', '1', '--negative', 'none', '--outputs', str(detected / 'outputs'))
    run_verb('pseudo-label', detector.arguments(tmp_path / 'out', *more))
    record, report = read(tmp_path / 'out' / 'pseudo_labels.json'), read(tmp_path / 'out' / 'pseudo_report.json')
    assert record['annotations'] == [] and len(record['images']) == 11
    assert any('no pseudo-label at all' in line for line in report['warnings'])


def test_detector_that_returns_nothing(detector: Case, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    more = ('--rule', 'class-balanced', '--cfg-options', 'model.test_cfg.score_thr=1.0')
    assert run_verb('pseudo-label', detector.arguments(tmp_path / 'out', *more)) == 1
    report = read(tmp_path / 'out' / 'pseudo_report.json')
    assert report['guards']['never_predicted'] == list(CLASSES)
    assert report['thresholds'] == [None] * 3
    assert 'never predicted: car, mast, sign' in capsys.readouterr().out.replace('\n', ' ')


def test_only_labelled_images(detector: Case, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    labelled = Case(detector.config, detector.checkpoint, detector.config.parent / 'data' / 'images' / 'train')
    assert run_verb('pseudo-label', labelled.arguments(tmp_path / 'out')) == 2
    assert 'all of them are labelled' in capsys.readouterr().err
    assert not (tmp_path / 'out').exists()


def test_label_maps(tmp_path: Path) -> None:
    """Label maps against the probabilities of the model; one and two ranks; a class that is never predicted."""
    from mmengine.config import Config

    from imbdense.mm.predictor import Predictor

    case = segmentation(tmp_path / 'case')
    more = ('--rule', 'fixed', '--threshold', '0.6')
    assert run_verb('pseudo-label', case.arguments(tmp_path / 'out', *more)) == 0
    sample = Predictor(Config.fromfile(str(case.config)), case.checkpoint).sample(case.images / '003.png')
    probability, predicted = sample.seg_logits.data.softmax(0).max(0)
    level = (probability * 255).floor().numpy()
    label = np.asarray(Image.open(tmp_path / 'out' / 'labels' / '003.png'))
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / 'out' / 'confidence' / '003.png')), level)
    np.testing.assert_array_equal(label, np.where(level / 255 >= 0.6, predicted.numpy(), 255))
    assert 0 < (label == 255).sum() < label.size
    report = read(tmp_path / 'out' / 'pseudo_report.json')
    maps = [np.asarray(Image.open(path)) for path in sorted((tmp_path / 'out' / 'labels').iterdir())]
    counts = np.bincount(np.concatenate([one.reshape(-1) for one in maps]), minlength=256)[:4]
    assert len(maps) == 11 and report['table']['filters'][-1]['left'] == counts.tolist()
    assert report['guards']['never_predicted']


@pytest.mark.slow
def test_label_maps_on_two_ranks(tmp_path: Path) -> None:
    case = segmentation(tmp_path / 'case')
    options = {rule: ('--rule', rule) for rule in ('fixed', *LEARNED)}
    assert run_two_ranks(on_ranks, case, tmp_path / 'two', options) == [[0] * 4] * 2
    for rule, more in options.items():
        run_verb('pseudo-label', case.arguments(tmp_path / 'one' / rule, *more))
    files = [path for path in sorted((tmp_path / 'one').rglob('*')) if path.is_file()]
    assert len(files) > 4 * 22
    for path in files:
        assert path.read_bytes() == (tmp_path / 'two' / path.relative_to(tmp_path / 'one')).read_bytes(), path


def test_logit_adjustment_brings_rare_classes_back(tmp_path: Path) -> None:
    """A head whose bias is the log of a 1000 : 1 prior never predicts the rare class; with tau = 1 it does."""
    case = segmentation(tmp_path / 'case', count=3)
    content = torch.load(case.checkpoint, weights_only=True)
    counts = [100_000, 100_000, 100_000, 100]
    content['state_dict']['decode_head.conv_seg.weight'] *= 0.05
    content['state_dict']['decode_head.conv_seg.bias'] = torch.tensor(counts).float().log()
    torch.save(content, case.checkpoint)
    stored = {'format': 1, 'classes': ['a', 'b', 'c', 'd'], 'pixels': counts}
    (tmp_path / 'class_counts.json').write_text(json.dumps(stored))
    kept = {}
    for tau in ('0', '1'):
        more = ('--rule', 'fixed', '--threshold', '0', '--logit-adjust-tau', tau,
                '--class-counts', str(tmp_path / 'class_counts.json'))
        assert run_verb('pseudo-label', case.arguments(tmp_path / tau, '--traceback', *more)) == 0
        kept[tau] = read(tmp_path / tau / 'pseudo_report.json')['table']['filters'][-1]['left'][3]
    assert kept['0'] == 0 and kept['1'] > 0


def test_teacher_of_a_semi_supervised_run(detector: Case, tmp_path: Path) -> None:
    """The checkpoint of a student and a teacher: the teacher's boxes, and its logits are the ones adjusted."""
    from mmengine.config import Config

    config = Config.fromfile(str(detector.config))
    plain = torch.load(detector.checkpoint, weights_only=True)
    preprocessor = config.model.pop('data_preprocessor')
    config.model = {
        'type': 'imbdense.MeanTeacherDetector', 'detector': config.model.to_dict(),
        'pseudo_labeler': {'type': 'imbdense.FixedThreshold'},
        'data_preprocessor': {'type': 'MultiBranchDataPreprocessor', 'data_preprocessor': preprocessor.to_dict()},
    }  # fmt: skip
    config.dump(str(tmp_path / 'config.py'))
    state = {f'{part}.{name}': value if part == 'teacher' else torch.zeros_like(value)
             for part in ('student', 'teacher') for name, value in plain['state_dict'].items()}
    torch.save({**plain, 'state_dict': {**state, 'iterations': torch.tensor(5)}}, tmp_path / 'semi.pth')
    semi = Case(tmp_path / 'config.py', tmp_path / 'semi.pth', detector.images)
    more = (*FIXED, '--traceback', '--logit-adjust-tau', '0.5')
    run_verb('pseudo-label', semi.arguments(tmp_path / 'semi', *more))
    run_verb('pseudo-label', detector.arguments(tmp_path / 'plain', *more))
    assert read(tmp_path / 'semi' / 'pseudo_labels.json') == read(tmp_path / 'plain' / 'pseudo_labels.json')
