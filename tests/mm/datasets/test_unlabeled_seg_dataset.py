"""Images without labels: nothing else is read, broken ones are named, skipped or refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip('mmseg')

from mmengine.registry import init_default_scope

from imbdense.data.readers.errors import LabelReadError
from imbdense.registry import DATASETS
from tests.mm.datasets.semi_data import save, unlabeled_config, write_semi


@pytest.fixture(autouse=True)
def _scope() -> None:
    init_default_scope('mmseg')


def break_files(root: Path) -> tuple[Path, Path]:
    """One cut off, one that is no image."""
    cut, text = root / 'unlabeled' / 'cut.png', root / 'unlabeled' / 'text.png'
    save(cut, np.random.default_rng(0).integers(0, 255, (40, 40, 3)).astype(np.uint8))
    cut.write_bytes(cut.read_bytes()[:-500])
    text.write_text('no image')
    return cut, text


def test_records_hold_no_label_and_samples_no_mask(tmp_path: Path) -> None:
    dataset = DATASETS.build(unlabeled_config(write_semi(tmp_path)))
    assert len(dataset) == 5
    record = dataset.get_data_info(0)
    assert record['img_path'].endswith('03.png') and 'seg_map_path' not in record
    sample = dataset[0]['data_samples'].views['unsup_weak']
    assert 'gt_sem_seg' not in sample and 'valid_pixels' in sample


def test_a_broken_image_is_an_error_that_names_it(tmp_path: Path) -> None:
    cut, text = break_files(write_semi(tmp_path))
    with pytest.raises(LabelReadError) as error:
        DATASETS.build(unlabeled_config(tmp_path))
    assert str(cut) in str(error.value) and str(text) in str(error.value) and "broken='skip'" in str(error.value)


def test_broken_images_are_skipped_and_reported(tmp_path: Path) -> None:
    cut, text = break_files(write_semi(tmp_path))
    report = tmp_path / 'report' / 'broken.txt'
    dataset = DATASETS.build(unlabeled_config(tmp_path, broken='skip', broken_report=str(report)))
    assert len(dataset) == 5 and len(dataset.broken_images) == 2
    lines = report.read_text().splitlines()
    assert len(lines) == 2 and str(cut) in lines[0] and 'cut off' in lines[0] and str(text) in lines[1]


def test_nothing_but_broken_images_is_an_error_in_any_case(tmp_path: Path) -> None:
    (tmp_path / 'unlabeled').mkdir()
    (tmp_path / 'unlabeled' / 'a.png').write_text('no image')
    with pytest.raises(LabelReadError, match='1 of 1 images'):
        DATASETS.build(unlabeled_config(tmp_path, broken='skip'))


def test_a_split_file_chooses_and_a_missing_image_is_named(tmp_path: Path) -> None:
    write_semi(tmp_path)
    split = tmp_path / 'few.txt'
    split.write_text('05\n03.png\n')
    dataset = DATASETS.build(unlabeled_config(tmp_path, ann_file=str(split)))
    assert [Path(dataset.get_data_info(i)['img_path']).stem for i in range(2)] == ['05', '03']
    split.write_text('05\n99\n')
    with pytest.raises(LabelReadError, match='99'):
        DATASETS.build(unlabeled_config(tmp_path, ann_file=str(split)))


def damage_inside(root: Path) -> Path:
    """A PNG with a whole header and end whose compressed pixels are rubbish."""
    path = root / 'unlabeled' / '05.png'
    content = bytearray(path.read_bytes())
    start = content.index(b'IDAT') + 4
    content[start : start + 60] = bytes(60)
    path.write_bytes(bytes(content))
    return path


def test_an_image_that_cannot_be_decoded_is_replaced_and_named(tmp_path: Path) -> None:
    from torch.utils.data import DataLoader

    bad, report = damage_inside(write_semi(tmp_path)), tmp_path / 'broken.txt'
    dataset = DATASETS.build(unlabeled_config(tmp_path, broken='skip', broken_report=str(report)))
    assert len(dataset) == 5, 'header and end are whole'
    loader = DataLoader(dataset, batch_size=None, num_workers=2, collate_fn=lambda item: item)
    for _ in range(2):
        found = [Path(item['data_samples'].img_path).name for item in loader]
        assert found == ['03.png', '04.png', '06.png', '06.png', '07.png']
    lines = report.read_text().splitlines()
    assert len(lines) == 1 and lines[0].startswith(f'{bad}: cannot be decoded'), 'named once, whoever finds it'
    with pytest.raises(Exception, match=r'05\.png|NoneType|decode|image'):
        DATASETS.build(unlabeled_config(tmp_path))[2]


def test_errors_of_other_transforms_are_not_swallowed(tmp_path: Path) -> None:
    config = unlabeled_config(write_semi(tmp_path), broken='skip')
    config['pipeline'] = [dict(type='LoadImageFromFile'), dict(type='imbdense.LoadSegMask')]
    dataset = DATASETS.build(config)
    with pytest.raises(KeyError):
        dataset[0]
