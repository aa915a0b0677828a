"""JSON, HTML and pictures of the statistics."""

import json

import numpy as np
import pytest

from imbdense.core.stats import ClassCounts
from imbdense.data.scan.section import stats_plots, stats_record, stats_section

pytest.importorskip('matplotlib')


def splits():
    """Two small splits; one class is absent, one name needs escaping."""
    common = {'num_images': 3, 'image_pixels': np.array([90, 60, 0]), 'cooccurrence': np.diag([3, 2, 0])}
    classes = ('land', 'car <b>', 'sign')
    return {
        'train': ClassCounts(
            classes,
            pixels=np.array([80, 10, 0]),
            images=np.array([3, 2, 0]),
            regions=np.array([4, 2, 0]),
            object_sizes=np.array([[0, 4], [1, 1], [0, 0]]),
            **common,
        ),
        'val': ClassCounts(classes, pixels=np.array([10, 10, 5]), images=np.array([3, 2, 1]), **common),
    }


def test_record_is_json_with_weights_and_shift():
    record = json.loads(json.dumps(stats_record(splits()), allow_nan=False))
    assert record['splits']['train']['indices']['pixels']['imbalance_ratio'] == 8
    assert set(record['splits']['train']['suggested_weights']) >= {'inverse', 'median', 'effective'}
    assert record['label_shift']['train -> val']['ratio']['sign'] is None
    assert any('only in the second' in line for line in record['label_shift']['train -> val']['warnings'])


def test_section_escapes_names_and_embeds_pictures():
    html = stats_section(splits())
    assert 'car &lt;b&gt;' in html
    assert '<b>' not in html
    assert html.count('data:image/png;base64,') == len(stats_plots(splits()))


def test_plots_are_png_and_equal_each_time():
    plots = stats_plots(splits())
    assert set(plots) == {
        'class_shares.png',
        'cooccurrence_train.png',
        'cooccurrence_val.png',
        'object_sizes_train.png',
        'label_shift_train_val.png',
    }
    assert all(data.startswith(b'\x89PNG') for data in plots.values())
    assert plots == stats_plots(splits())


def test_a_split_without_any_object_does_not_break_it():
    empty = {'train': ClassCounts(('a',), instances=np.array([0]), images=np.array([0]), num_images=2)}
    assert stats_record(empty)['splits']['train']['suggested_weights'] == {}
    assert 'a' in stats_section(empty)
