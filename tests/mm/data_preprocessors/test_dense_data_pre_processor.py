"""Images of any number of bands and dates, stacked, with every label map padded alike."""

from __future__ import annotations

import pytest
import torch

pytest.importorskip('mmseg')

from mmengine.structures import PixelData
from mmseg.models.data_preprocessor import SegDataPreProcessor

from imbdense.mm.data_preprocessors.dense_data_pre_processor import DenseDataPreProcessor
from imbdense.mm.structures.scd_data_sample import SCDDataSample


def sample(height: int, width: int) -> SCDDataSample:
    one = SCDDataSample(metainfo={'ori_shape': (height, width)})
    one.gt_cd = PixelData(data=torch.ones(1, height, width, dtype=torch.int64))
    one.set_data({'gt_sem_t1': PixelData(data=torch.full((1, height, width), 3))})
    return one


def test_change_map_is_the_host_s_segmentation() -> None:
    assert sample(2, 3).gt_sem_seg is not None
    assert set(sample(2, 3).to_dict()) >= {'gt_sem_seg', 'gt_sem_t1'}


def test_bands_of_every_date_are_normalised_alike() -> None:
    model = DenseDataPreProcessor(mean=(1.0, 2.0), std=(2.0, 4.0), dates=2, size_divisor=4)
    image = torch.tensor([3, 6, 5, 10], dtype=torch.uint8).view(4, 1, 1).expand(4, 3, 5)
    out = model({'inputs': [image], 'data_samples': [sample(3, 5)]}, True)
    assert out['inputs'].shape == (1, 4, 4, 8)
    assert out['inputs'][0, :, 0, 0].tolist() == [1.0, 1.0, 2.0, 2.0]
    assert out['inputs'][0, :, 3].eq(0).all() and out['inputs'][0, :, :, 5:].eq(0).all()


def test_every_label_map_is_padded_and_the_padding_is_told() -> None:
    samples = [sample(3, 5), sample(6, 4)]
    data = {'inputs': [torch.ones(1, 3, 5), torch.ones(1, 6, 4)], 'data_samples': samples}
    out = DenseDataPreProcessor(size_divisor=1)(data, True)['data_samples']
    for one, pixels, padding in zip(out, (15, 24), [(0, 0, 0, 3), (0, 1, 0, 0)]):
        for key in ('gt_sem_seg', 'gt_sem_t1'):
            assert one.get(key).data.shape == (1, 6, 5)
            assert (one.get(key).data == 255).sum() == 30 - pixels
        assert one.padding_size == padding and one.pad_shape == (6, 5)


def test_three_bands_at_one_date_equal_the_host() -> None:
    settings = dict(mean=[120.0, 110.0, 100.0], std=[50.0, 60.0, 70.0], bgr_to_rgb=True, size=(8, 8))
    host, own = SegDataPreProcessor(**settings), DenseDataPreProcessor(**settings)
    image = torch.randint(0, 255, (3, 5, 7), dtype=torch.uint8)
    results = [model({'inputs': [image.clone()], 'data_samples': [sample(5, 7)]}, True) for model in (host, own)]
    assert torch.equal(results[0]['inputs'], results[1]['inputs'])
    assert torch.equal(*(result['data_samples'][0].gt_sem_seg.data for result in results))
    assert torch.equal(*(model({'inputs': [image]}, False)['inputs'] for model in (host, own)))


def test_bgr_to_rgb_keeps_the_dates_apart_and_further_bands() -> None:
    image = torch.arange(8.0).view(8, 1, 1)
    out = DenseDataPreProcessor(dates=2, bgr_to_rgb=True)({'inputs': [image]})['inputs']
    assert out.flatten().tolist() == [2, 1, 0, 3, 6, 5, 4, 7]


def test_padding_in_evaluation_only_where_asked() -> None:
    image = torch.ones(2, 5, 7)
    assert DenseDataPreProcessor(dates=2, size=(8, 8))({'inputs': [image]})['inputs'].shape == (1, 2, 5, 7)
    model = DenseDataPreProcessor(dates=2, test_cfg=dict(size_divisor=4))
    out = model({'inputs': [image], 'data_samples': [sample(5, 7)]})
    one = out['data_samples'][0]
    assert out['inputs'].shape == (1, 2, 8, 8) and one.img_padding_size == (0, 1, 0, 3)
    assert one.gt_sem_seg.data.shape == (1, 5, 7), 'labels keep their size: predictions are cut to it'


@pytest.mark.parametrize(('settings', 'channels', 'word'), [
    (dict(dates=2), 3, 'no multiple of dates=2'),
    (dict(mean=[1.0], std=[1.0]), 3, 'give 3 .one per band. or 3'),
    (dict(dates=2, bgr_to_rgb=True), 4, 'at least 3 bands'),
])  # fmt: skip
def test_channels_that_do_not_fit_are_named(settings: dict, channels: int, word: str) -> None:
    with pytest.raises(ValueError, match=word):
        DenseDataPreProcessor(**settings)({'inputs': [torch.ones(channels, 2, 2)]})


def test_wrong_settings_are_named() -> None:
    with pytest.raises(ValueError, match='size or size_divisor, not both'):
        DenseDataPreProcessor(size=(2, 2), size_divisor=2)
    with pytest.raises(ValueError, match='both mean and std'):
        DenseDataPreProcessor(mean=[1.0])
    with pytest.raises(ValueError, match='one size'):
        DenseDataPreProcessor()({'inputs': [torch.ones(1, 2, 2), torch.ones(1, 3, 2)]})
