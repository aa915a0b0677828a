"""Every tensor of a foreign file is accounted for."""

from __future__ import annotations

import pytest
import torch
from torch import nn

pytest.importorskip('mmengine')

from imbdense.mm.checkpoints import CheckpointError
from imbdense.mm.mapped_weights import fill_module, read_weights


def layers() -> nn.Sequential:
    """Six tensors that count; the number of seen batches does not."""
    return nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))


def test_report_names_what_is_missing_unexpected_and_misshaped() -> None:
    model = layers()
    weights = {'0.weight': torch.ones(2, 3, 1, 1), '0.bias': torch.ones(3), 'head.bias': torch.ones(2)}
    report = fill_module(model, weights, 'a file', least_share=0.1)
    assert report.matched == ['0.weight'] and report.unexpected == ['head.bias']
    assert report.misshaped == ['0.bias (3,) instead of (2,)']
    assert report.missing == ['1.weight', '1.bias', '1.running_mean', '1.running_var']
    assert report.share == pytest.approx(1 / 6)
    assert (model[0].weight == 1).all()
    assert '1 tensors matched (17% of the model); 4 missing: 1.weight' in str(report)


def test_too_little_is_an_error() -> None:
    with pytest.raises(CheckpointError, match=r'a file does not fit Sequential.*At least 90%'):
        fill_module(layers(), {'0.weight': torch.ones(2, 3)}, 'a file')


def test_containers_and_prefixes(tmp_path) -> None:
    for container in ('state_dict', 'model', None):
        stored = {'net.a': torch.ones(1), 'other': torch.ones(1), 'epoch': 3}
        torch.save(stored if container is None else {container: stored}, tmp_path / 'file.pth')
        assert set(read_weights(str(tmp_path / 'file.pth'), prefix='net.')) == {'a'}
    with pytest.raises(CheckpointError, match='no checkpoint'):
        read_weights(str(tmp_path / 'absent.pth'))
