"""PostClassificationChange and its hook: modes, priors from the ledger, the estimate, files, windows, messages."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

pytest.importorskip('mmseg')

from mmengine.config import ConfigDict

from imbdense.core.inference import compare_classifications, estimate_transitions
from imbdense.core.inference.map_layers import MapMaker, ScoreGroup
from imbdense.core.stats import PriorLedger
from imbdense.data.change.transition_file import read_transitions, write_transitions
from imbdense.mm.hooks.post_classification_hook import PostClassificationHook
from imbdense.registry import MODELS
from tests.mm.segmentors.change_cases import pairs

CLASSES = 3
PRIOR = [0.6, 0.3, 0.1]


def segmentor(**options: Any) -> ConfigDict:
    return ConfigDict(
        type='mmseg.EncoderDecoder',
        data_preprocessor=dict(type='mmseg.SegDataPreProcessor', mean=[0.5] * 3, std=[2.0] * 3, bgr_to_rgb=True),
        backbone=dict(type='imbdense.FCSiamEncoder', in_channels=3),
        decode_head=dict(type='imbdense.FCSiamHead', num_classes=CLASSES),
        test_cfg=dict(mode='whole', **options))  # fmt: skip


def build(**options: Any) -> Any:
    torch.manual_seed(0)
    config = options.pop('segmentor', segmentor())
    return MODELS.build(dict(type='imbdense.PostClassificationChange', segmentor=config, **options)).eval()


def test_compares_what_the_segmentor_says_of_each_date() -> None:
    data = pairs(2, size=(37, 50))
    model = build(mode='argmax', temperature=2.0)
    results = model.test_step(data)
    alone = MODELS.build(segmentor()).eval()
    alone.load_state_dict(model.segmentor.state_dict())
    for image, result in zip(data['inputs'], results):
        assert type(result).__name__ == 'SCDDataSample'
        logits = [
            alone.test_step({'inputs': [half], 'data_samples': None})[0].seg_logits.data for half in image.chunk(2)
        ]
        assert torch.equal(result.pred_sem_t1.data[0], logits[0].argmax(0))
        assert torch.equal(result.pred_cd.data, (result.pred_sem_t1.data != result.pred_sem_t2.data).long())
        p, q = ((value / 2.0).softmax(0) for value in logits)
        torch.testing.assert_close(result.seg_logits.data[1].exp(), 1 - (p * q).sum(0), atol=1e-5, rtol=0)
        assert result.pred_sem_t2.data.shape == (1, 37, 50)


def test_bayes_needs_both_priors_and_then_uses_them(tmp_path: Path) -> None:
    data = pairs(1)
    with pytest.raises(ValueError, match='needs the class prior'):
        build().test_step(data)
    with pytest.raises(ValueError, match='there are no transitions yet'):
        build(prior=PRIOR).test_step(data)
    matrix = torch.tensor([[0.58, 0.01, 0.01], [0.01, 0.28, 0.01], [0.0, 0.0, 0.1]], dtype=torch.float64)
    write_transitions(tmp_path / 't.csv', ['a', 'b', 'c'], matrix.numpy())
    model = build(prior=PRIOR, transitions=str(tmp_path / 't.csv'))
    result = model.test_step(data)[0]
    first, second = model.date_probabilities(*(model.data_preprocessor(data)[k] for k in ('inputs', 'data_samples')))[0]
    expected = compare_classifications(first, second, prior=torch.tensor(PRIOR), transition=matrix)
    assert torch.equal(result.pred_sem_t2.data[0], expected.second)
    assert torch.equal(result.pred_cd.data[0].bool(), expected.changed)


def checkpoint(path: Path, prior: list[float] | None = PRIOR) -> Path:
    model = MODELS.build(segmentor())
    meta = {} if prior is None else {
        'imbdense': {'prior_ledger': PriorLedger(['a', 'b', 'c'], [100 * value for value in prior]).to_dict()}
    }
    torch.save({'meta': meta, 'state_dict': model.state_dict()}, path)
    return path


def test_checkpoint_of_the_segmentor_brings_weights_and_prior(tmp_path: Path) -> None:
    path = checkpoint(tmp_path / 'one.pth')
    model = build(checkpoint=str(path))
    torch.testing.assert_close(model.prior, torch.tensor(PRIOR, dtype=torch.float64))
    weights = torch.load(path, weights_only=True)['state_dict']
    name = 'backbone.stages.0.0.0.weight'
    assert torch.equal(model.segmentor.state_dict()[name], weights[name])
    other = build(prior=PRIOR)
    missing, unexpected = other.load_state_dict(weights, strict=False)
    assert not missing and not unexpected
    torch.testing.assert_close(other.prior, torch.tensor(PRIOR, dtype=torch.float64))
    again = build()
    again.load_state_dict(model.state_dict())
    assert torch.equal(again.prior, model.prior)


def run_hook(model: Any, folder: Path, **options: Any) -> None:
    """As a test loop does, on two pairs."""
    loader = SimpleLoader([pairs(1, seed=seed) for seed in (1, 2)])
    runner = SimpleNamespace(model=model, test_dataloader=loader, work_dir=str(folder))
    PostClassificationHook(**options).before_test(runner)


class SimpleLoader(list):
    dataset = SimpleNamespace(metainfo={'land_cover': ['a', 'b', 'c']})


def test_hook_estimates_the_transitions_and_writes_them(tmp_path: Path) -> None:
    model = build(prior=PRIOR, forbidden=[(0, 2)])
    run_hook(model, tmp_path, pixels=2 * 32 * 32)
    names, matrix = read_transitions(tmp_path / 'imbdense' / 'transitions.csv')
    assert names == ('a', 'b', 'c') and matrix[0, 2] == 0
    torch.testing.assert_close(model.transition, torch.from_numpy(matrix), atol=1e-8, rtol=1e-6)
    scenes = []
    for seed in (1, 2):
        batch = model.data_preprocessor(pairs(1, seed=seed))
        scenes.append(model.date_probabilities(batch['inputs'], batch['data_samples'])[0])
    first, second = (torch.cat([scene[date].flatten(1) for scene in scenes], dim=1) for date in range(2))
    allowed = torch.ones(3, 3, dtype=torch.bool)
    allowed[0, 2] = False
    expected = estimate_transitions(first, second, torch.tensor(PRIOR), allowed)
    torch.testing.assert_close(model.transition, expected.matrix, atol=1e-6, rtol=0)
    before = model.transition.clone()
    run_hook(model, tmp_path, pixels=3)
    assert torch.equal(model.transition, before), 'a model that has a table keeps it'


def test_hook_draws_no_pixel_without_data(tmp_path: Path) -> None:
    model, data = build(prior=PRIOR), pairs(1)
    nodata = torch.zeros(data['inputs'][0].shape[1:], dtype=torch.bool)
    nodata[:, 20:] = True
    data['data_samples'][0].set_metainfo({'nodata': nodata.numpy()})
    runner = SimpleNamespace(model=model, test_dataloader=SimpleLoader([data]), work_dir=str(tmp_path))
    PostClassificationHook().before_test(runner)
    batch = model.data_preprocessor(data)
    dates = model.date_probabilities(batch['inputs'], batch['data_samples'])[0]
    expected = estimate_transitions(*(date[:, :, :20].flatten(1) for date in dates), torch.tensor(PRIOR))
    torch.testing.assert_close(model.transition, expected.matrix, atol=1e-6, rtol=0)
    data['data_samples'][0].set_metainfo({'nodata': torch.ones_like(nodata).numpy()})
    with pytest.raises(ValueError, match='no image data at both dates'):
        PostClassificationHook().before_test(SimpleNamespace(
            model=build(prior=PRIOR), test_dataloader=SimpleLoader([data]), work_dir=str(tmp_path)))


def test_hook_warns_of_errors_that_repeat(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from mmengine.logging import MMLogger

    said: list[str] = []
    monkeypatch.setattr(MMLogger.get_current_instance(), 'warning', said.append)
    model = build(prior=PRIOR)
    run_hook(model, tmp_path)
    assert not said
    twice = [pairs(1)]
    twice[0]['inputs'][0][3:] = twice[0]['inputs'][0][:3]
    model.transition.zero_()
    torch.nn.init.normal_(model.segmentor.decode_head.conv_seg.weight, std=0.3)
    runner = SimpleNamespace(model=model, test_dataloader=SimpleLoader(twice), work_dir=str(tmp_path))
    PostClassificationHook().before_test(runner)
    assert len(said) == 1 and 'the same errors are made at both' in said[0]


def test_hook_counts_labelled_pairs(tmp_path: Path) -> None:
    from imbdense.registry import DATASETS

    def sample(first: list[int], second: list[int]) -> dict[str, Any]:
        maps = {f'gt_sem_t{date}': SimpleNamespace(data=torch.tensor([[label]]))
                for date, label in enumerate((first, second), 1)}  # fmt: skip
        return {'data_samples': SimpleNamespace(**maps)}

    @DATASETS.register_module(name='TinyPairs', force=True)
    def tiny(changed_only: bool) -> list[dict[str, Any]]:
        return [sample([0, 0, 1], [1, 2, 0])] if changed_only else [sample([0, 0, 1, 255], [0, 2, 1, 1])]

    model = build(prior=PRIOR)
    run_hook(model, tmp_path, labels=dict(type='imbdense.TinyPairs', changed_only=False))
    torch.testing.assert_close(model.transition.diagonal().sum().item(), 2 / 3, atol=1e-4, rtol=0)
    with pytest.raises(ValueError, match='known inside changes only'):
        run_hook(build(prior=PRIOR), tmp_path, labels=dict(type='imbdense.TinyPairs', changed_only=True))
    DATASETS.module_dict.pop('TinyPairs')


def test_hook_takes_the_ledger_of_the_checkpoint(tmp_path: Path) -> None:
    model = build()
    content = torch.load(checkpoint(tmp_path / 'one.pth'), weights_only=True)
    PostClassificationHook().after_load_checkpoint(SimpleNamespace(model=model), content)
    torch.testing.assert_close(model.prior, torch.tensor(PRIOR, dtype=torch.float64))
    with pytest.raises(ValueError, match=r'belongs to imbdense\.PostClassificationChange'):
        PostClassificationHook().after_load_checkpoint(SimpleNamespace(model=model.segmentor), content)
    with pytest.raises(ValueError, match='needs the class prior'):
        run_hook(build(), tmp_path)
    given = build(prior=[1.0, 1.0, 2.0], checkpoint=str(tmp_path / 'one.pth'))
    assert given.prior.tolist() == [0.25, 0.25, 0.5], 'a prior that is given wins'


def test_windows_and_scores_for_rasters() -> None:
    model = build(mode='prob', segmentor=segmentor(crop_size=(32, 32), stride=(16, 16)))
    model.segmentor.test_cfg.mode = 'slide'
    images = torch.randn(1, 6, 48, 40)
    maps = model.score_maps(images)
    assert set(maps) == {'t1', 't2'} and maps['t1'].shape == (1, 3, 48, 40)
    first, second, p_change = model.compare_dates(*(logits[0].softmax(0) for logits in maps.values()))
    assert first.shape == second.shape == p_change.shape == (48, 40)
    torch.testing.assert_close(model._forward(images)[0, 1].exp(), p_change, atol=1e-5, rtol=0)
    names = ['change', 'p_change', 'label_t1', 'label_t2', 'from_to']
    maker = MapMaker([ScoreGroup('t1', 3), ScoreGroup('t2', 3)], names, model.compare_dates)
    with torch.no_grad():
        layers = maker.from_logits(torch.cat([logits[0] for logits in maps.values()]))
    assert torch.equal(layers['label_t1'], first) and layers['label_t1'].dtype == torch.uint8
    assert torch.equal(layers['change'].bool(), first != second) and set(layers) == set(names)


def test_constraints_are_applied_last_and_training_is_refused() -> None:
    model = build(mode='argmax', constraints=[dict(from_=[0, 1, 2], to=[1], action='keep_from')])
    result = model.test_step(pairs(1))[0]
    assert not ((result.pred_sem_t2.data == 1) & (result.pred_sem_t1.data != 1)).any()
    with pytest.raises(RuntimeError, match='is not trained'):
        model.loss(torch.zeros(1, 6, 32, 32), [])
    with pytest.raises(ValueError, match='need layers'):
        build(constraints=[dict(from_=[0], to=[1], where='slope > 3')])
    with pytest.raises(ValueError, match='the prior has 2 classes, the segmentor 3'):
        build(prior=[0.5, 0.5])
