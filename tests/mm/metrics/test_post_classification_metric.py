"""PostClassificationMetric: against a loop, kinds of change by table, areas, false change."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from imbdense.core.metrics.alpine_transitions import alpine_transition_lut
from imbdense.data.change.kinds import read_lut
from tests.helpers.change_samples import change_samples, evaluate, perfect

CONFIG = {'type': 'imbdense.PostClassificationMetric'}
LUT = np.array([[0, 1, 1, 2], [1, 0, 2, 2], [2, 2, 0, 1], [1, 1, 2, 0]])


def pixels(samples: list[Any]):
    for sample in samples:
        keys = ('pred_sem_t1', 'pred_sem_t2', 'gt_sem_t1', 'gt_sem_t2')
        for p1, p2, g1, g2 in zip(*(sample[key]['data'].ravel().tolist() for key in keys)):
            if 255 not in (g1, g2):
                yield p1, p2, g1, g2


@pytest.mark.parametrize('ignored', [False, True])
def test_equals_a_loop_over_pixels(ignored: bool, tmp_path: Any) -> None:
    samples = change_samples(3, full=True, ignored=ignored)
    path = tmp_path / 'lut.csv'
    np.savetxt(path, LUT, fmt='%d', delimiter=',')
    matrices, change, kinds = np.zeros((3, 4, 4), int), np.zeros((2, 2), int), np.zeros((3, 3), int)
    for p1, p2, g1, g2 in pixels(samples):
        matrices[0][g1, g2] += 1
        matrices[1][p1, p2] += 1
        matrices[2][g1, g2] += (p1, p2) == (g1, g2)
        change[int(p1 != p2), int(g1 != g2)] += 1
        kinds[LUT[p1, p2], LUT[g1, g2]] += 1
    found, metric = evaluate({**CONFIG, 'lut': str(path), 'kinds': ['none', 'near', 'far']}, samples)
    for name, matrix in zip(('labelled', 'predicted', 'hit'), matrices):
        assert metric.artifact['transitions'][name] == matrix.tolist()
    assert metric.artifact['tables']['kinds'] == kinds.tolist()
    assert found['pcc/change/F1'] == pytest.approx(2 * change[1, 1] / (2 * change[1, 1] + change[0, 1] + change[1, 0]))
    assert found['pcc/change/false_change'] == pytest.approx(change[1, 0] / change[:, 0].sum())
    assert found['pcc/share_labelled'] == pytest.approx(change[:, 1].sum() / change.sum())
    iou = [kinds[k, k] / (kinds[k].sum() + kinds[:, k].sum() - kinds[k, k]) for k in range(3)]
    assert found['pcc/kinds/macro_iou'] == pytest.approx(np.mean(iou)) and found['pcc/IoU/far'] == pytest.approx(iou[2])
    recall = [np.mean([p2 == g2 for _, p2, _, g2 in pixels(samples) if g2 == k]) for k in range(4)]
    assert found['pcc/t2/macro_recall'] == pytest.approx(np.mean(recall))
    off = ~np.eye(4, dtype=bool) & (matrices[0] > 0)
    per_transition = matrices[2][off] / (matrices[0] + matrices[1] - matrices[2])[off]
    assert found['pcc/trans/macro_iou'] == pytest.approx(np.mean(per_transition))


def test_right_maps_have_no_false_change() -> None:
    found, _ = evaluate(CONFIG, perfect(change_samples(2, full=True)))
    assert found['pcc/change/false_change'] == 0 and found['pcc/change/F1'] == found['pcc/trans/macro_iou'] == 1
    assert found['pcc/share_labelled'] == found['pcc/share_predicted']


def test_independent_errors_make_false_change() -> None:
    """Maps that are 80 % right each call a third of the unchanged pixels changed."""
    found, _ = evaluate(CONFIG, change_samples(4, full=True, side=40))
    assert found['pcc/t1/OA'] > 0.8 and found['pcc/change/false_change'] > 0.2
    assert found['pcc/share_predicted'] > found['pcc/share_labelled']


def test_alpine_kinds_areas_and_intervals() -> None:
    samples = change_samples(4, 23, full=True)
    for sample in samples:
        sample['transform'] = (0.2, 0, 0, 0, -0.2, 0)
    found, metric = evaluate({**CONFIG, 'lut': 'alpine', 'ci': {'n_boot': 30}}, samples, 23)
    lut = alpine_transition_lut()[1:, 1:]
    labelled = np.array(metric.artifact['transitions']['labelled'])
    for kind, record in enumerate(metric.artifact['kinds']):
        assert record['labelled'] == labelled[lut == kind].sum()
        assert record['labelled_ha'] == pytest.approx(record['labelled'] * 0.04 / 10_000)
    assert metric.artifact['kinds'][7]['kind'] == 'clearcut'
    assert found['pcc/change/IoU_lo'] <= found['pcc/change/IoU'] <= found['pcc/change/IoU_hi']
    assert 'pcc/kinds/macro_iou_lo' in found
    np.testing.assert_allclose(metric.artifact['transitions']['hectares']['labelled'], labelled * 4e-6)


def test_classes_of_a_plain_segmentation_serve_too() -> None:
    samples = change_samples(1, full=True)
    from imbdense.registry import METRICS

    metric = METRICS.build(dict(CONFIG))
    metric.dataset_meta = {'classes': ('a', 'b', 'c', 'd')}
    metric.process(None, samples)
    assert 'pcc/recall_t2/a' in metric.evaluate(1)


def test_lut_mistakes(tmp_path: Any) -> None:
    path = tmp_path / 'lut.csv'
    np.savetxt(path, LUT, fmt='%d', delimiter=',')
    np.testing.assert_array_equal(read_lut(str(path), 4), LUT)
    with pytest.raises(ValueError, match=r'expected 5 x 5'):
        read_lut(str(path), 5)
    np.savetxt(path, LUT * -1, fmt='%d', delimiter=',')
    with pytest.raises(ValueError, match='0 to 254'):
        read_lut(str(path), 4)
    bordered = np.full((5, 5), 255)
    bordered[1:, 1:] = LUT
    np.savetxt(path, bordered, fmt='%d', delimiter=',')
    np.testing.assert_array_equal(read_lut(str(path), 4), LUT)
    with pytest.raises(ValueError, match='kinds names'):
        evaluate({**CONFIG, 'lut': str(path), 'kinds': ['one']}, change_samples(1, full=True))
