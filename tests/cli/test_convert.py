"""imbdense convert tau-norm: a given tau, a searched one, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from mmengine.config import Config

from imbdense.cli.convert_tau_norm import normalized
from imbdense.cli.main import main
from imbdense.mm.checkpoints import load_checkpoint
from tests.mm.inference.segmentors import trained


@pytest.fixture(scope='module')
def segmentor(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    folder = tmp_path_factory.mktemp('tau')
    config, checkpoint = trained(folder, loss={'type': 'CrossEntropyLoss'})
    config = Config(config) if not isinstance(config, Config) else config
    config.custom_imports = {'imports': ['tests.mm.hooks.tiny_run']}
    path = folder / 'config_tau.py'
    config.dump(str(path))
    return str(path), str(checkpoint)


def test_the_new_checkpoint_has_vectors_of_length_one_and_no_bias(segmentor: tuple[str, str], tmp_path: Path) -> None:
    out = tmp_path / 'normed.pth'
    assert main(['convert', 'tau-norm', *segmentor, '--tau', '1', '--out', str(out)]) == 0
    old, new = load_checkpoint(segmentor[1])['state_dict'], load_checkpoint(out)['state_dict']
    assert old.keys() == new.keys()
    weight = new['decode_head.conv_seg.weight'].flatten(1)
    assert torch.allclose(weight.norm(dim=1), torch.ones(len(weight)), atol=1e-6)
    assert (new['decode_head.conv_seg.bias'] == 0).all()
    changed = [key for key in old if not torch.equal(old[key], new[key])]
    assert set(changed) <= {'decode_head.conv_seg.weight', 'decode_head.conv_seg.bias'}


def test_search_takes_the_best_of_the_validation(
    segmentor: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / 'best.pth'
    assert main(['convert', 'tau-norm', *segmentor, '--search', '--values', '0', '1', '--out', str(out)]) == 0
    printed = capsys.readouterr().out
    scores = {float(line.split()[1][:-1]): float(line.split()[-1]) for line in printed.splitlines()
              if line.startswith('tau ')}
    best = max(scores, key=lambda tau: (scores[tau], -tau))
    assert set(scores) == {0.0, 1.0} and f'with tau = {best}' in printed and out.is_file()


def test_background_row_of_a_box_head_stays() -> None:
    state = {'roi_head.bbox_head.fc_cls.weight': torch.randn(4, 6), 'roi_head.bbox_head.fc_cls.bias': torch.randn(4)}
    new = normalized(state, 'roi_head.bbox_head.fc_cls', 1.0, keep_bias=False)
    assert torch.equal(new['roi_head.bbox_head.fc_cls.weight'][3], state['roi_head.bbox_head.fc_cls.weight'][3])
    assert new['roi_head.bbox_head.fc_cls.bias'][:3].abs().sum() == 0 and new['roi_head.bbox_head.fc_cls.bias'][3] != 0
    assert torch.allclose(new['roi_head.bbox_head.fc_cls.weight'][:3].norm(dim=1), torch.ones(3))


def test_a_layer_that_is_not_there_is_named(
    segmentor: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ['convert', 'tau-norm', *segmentor, '--tau', '1', '--classifier', 'decode_head.nothing']
    assert main([*arguments, '--out', str(tmp_path / 'x.pth')]) == 2
    assert 'decode_head.nothing' in capsys.readouterr().err and not (tmp_path / 'x.pth').exists()


def test_network_of_a_semi_supervised_checkpoint(tmp_path, capsys):
    both = {'student.a.weight': torch.ones(2), 'teacher.a.weight': torch.zeros(2), 'pseudo.counts': torch.ones(1)}
    source, out = tmp_path / 'semi.pth', tmp_path / 'plain.pth'
    torch.save({'state_dict': both, 'meta': {'dataset_meta': {'classes': ('a', 'b')}}}, source)
    assert main(['convert', 'network', str(source), '--out', str(out)]) == 0
    saved = torch.load(out, weights_only=True)
    assert list(saved['state_dict']) == ['a.weight'] and not saved['state_dict']['a.weight'].any()
    assert saved['meta']['dataset_meta']['classes'] == ('a', 'b')
    out.unlink()
    assert main(['convert', 'network', str(source), '--network', 'peer', '--out', str(out)]) == 2
    assert "it has ['student', 'teacher']" in capsys.readouterr().err and not out.exists()


def test_unknown_conversion_is_refused(capsys):
    assert main(['convert', 'nothing']) == 2
    assert "there is no 'nothing'. Write one of these first: tau-norm, network." in capsys.readouterr().err
