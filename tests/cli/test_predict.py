"""`imbdense predict` and `imbdense test`: input handling and output; whole runs are in tests/integration."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from imbdense.cli.main import UserError, run_verb
from imbdense.cli.predict import find_images
from imbdense.utils.overlay import distinct_colours, draw_boxes, draw_labels, with_legend


def touch(path: Path) -> Path:
    """An empty file with its folders."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path


def test_folders_keep_their_structure(tmp_path: Path) -> None:
    files = [touch(tmp_path / name) for name in ('b/x.jpg', 'a/x.PNG', 'notes.txt')]
    found = dict(find_images([tmp_path], tmp_path / 'out'))
    assert found == {files[0]: Path('b/x'), files[1]: Path('a/x')}


def test_equal_names_do_not_meet(tmp_path: Path) -> None:
    paths = [touch(tmp_path / name) for name in ('a/x.jpg', 'b/x.jpg', 'b/x.png')]
    names = [name for _, name in find_images(paths, tmp_path / 'out')]
    assert len(set(names)) == 3
    assert names[0] == Path('x')


def test_results_of_an_earlier_run_are_no_input(tmp_path: Path) -> None:
    touch(tmp_path / 'x.jpg')
    touch(tmp_path / 'out' / 'x_overlay.jpg')
    assert [path.name for path, _ in find_images([tmp_path], tmp_path / 'out')] == ['x.jpg']


def test_missing_path(tmp_path: Path) -> None:
    with pytest.raises(UserError, match='there is no file or folder'):
        list(find_images([tmp_path / 'nothing'], tmp_path / 'out'))


def test_no_image_in_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_verb('predict', ['segmentation/unet_scenes_ce.py', 'weights.pth', str(tmp_path)]) == 2
    assert 'no image' in capsys.readouterr().err


def test_out_of_test_must_be_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_verb('test', ['config.py', 'weights.pth', '--out', 'scores.pkl']) == 2
    assert '.json' in capsys.readouterr().err


def test_unsafe_checkpoint_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip('mmseg')
    import torch

    touch(tmp_path / 'x.jpg')
    torch.save({'state_dict': {}, 'meta': pytest.importorskip}, tmp_path / 'evil.pth')
    code = run_verb('predict', ['segmentation/unet_scenes_ce.py', str(tmp_path / 'evil.pth'), str(tmp_path / 'x.jpg')])
    assert code == 2
    assert 'could run code' in capsys.readouterr().err


def test_checkpoint_of_another_model_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Random weights in place of missing ones would look like a bad model."""
    pytest.importorskip('mmseg')
    import torch

    touch(tmp_path / 'x.jpg')
    torch.save({'state_dict': {'backbone.other': torch.zeros(1)}}, tmp_path / 'other.pth')
    code = run_verb('predict', ['segmentation/unet_scenes_ce.py', str(tmp_path / 'other.pth'), str(tmp_path / 'x.jpg')])
    assert code == 2
    assert 'weights are missing' in capsys.readouterr().err


def test_label_overlay_colours_classes_and_leaves_ignored_pixels() -> None:
    image = np.full((4, 6, 3), 100, np.uint8)
    label = np.array([[0, 0, 1, 1, 255, 255]] * 4)
    drawn = np.asarray(draw_labels(image, label, ['a', 'b'], [(200, 0, 0), (0, 0, 200)], opacity=0.5))
    assert drawn[0, 0].tolist() == [150, 50, 50]
    assert drawn[0, 2].tolist() == [50, 50, 150]
    assert drawn[0, 5].tolist() == [100, 100, 100]
    assert drawn.shape[1] > 6  # the legend


def test_boxes_overlay_and_empty_result() -> None:
    image = np.zeros((40, 40, 3), np.uint8)
    boxes = np.array([[5.0, 5.0, 20.0, 20.0]])
    drawn = np.asarray(draw_boxes(image, boxes, np.array([1]), np.array([0.9]), ['a', 'b'], [(9, 9, 9), (0, 255, 0)]))
    assert drawn[20, 10].tolist() == [0, 255, 0]
    none = draw_boxes(image, np.zeros((0, 4)), np.zeros(0, int), np.zeros(0), ['a'], [(9, 9, 9)])
    assert np.asarray(none)[:40, :40].sum() == 0


def test_colours_differ_and_stay() -> None:
    colours = distinct_colours(30)
    assert len(set(colours)) == 30
    assert colours == distinct_colours(30)
    assert with_legend(Image.new('RGB', (4, 4)), []).height >= 4
