"""The detector as a whole: training, prediction, symmetry, switches, export."""

from __future__ import annotations

import warnings

import pytest
import torch

pytest.importorskip('mmseg')

from mmengine.optim import build_optim_wrapper

from imbdense.mm.checkpoints import CheckpointError
from tests.helpers.official_mamba_fcs import official_mamba_fcs
from tests.mm.segmentors.semantic_change_cases import CLASSES, make_detector, pairs

JOINT = [{'type': 'imbdense.SoftSeKLoss'}, {'type': 'imbdense.UnchangedConsistencyLoss'}]


def test_all_terms_train_all_parameters() -> None:
    model = make_detector(losses_joint=JOINT)
    terms = model(*pairs(), mode='loss')
    assert set(terms) == {'change.loss_ce', 't1.loss_ce', 't2.loss_ce', 'loss_soft_sek', 'loss_unchanged'}
    sum(terms.values()).backward()
    assert not [name for name, p in model.named_parameters() if p.grad is None]  # DDP needs every one
    assert all(torch.isfinite(p.grad).all() for p in model.parameters())


def test_it_learns_the_pair_it_sees() -> None:
    model = make_detector(losses_joint=JOINT, semantic_head={'drop_path': 0.0}, change_head={'drop_path': 0.0})
    inputs, samples = pairs()
    wrapper = build_optim_wrapper(model, {'optimizer': {'type': 'AdamW', 'lr': 3e-3}})
    values = []
    for _ in range(12):
        loss = sum(model(inputs, samples, mode='loss').values())
        wrapper.update_params(loss)
        values.append(loss.item())
    assert values[-1] < 0.8 * values[0]
    model.eval()
    with torch.no_grad():
        found = model(inputs, samples, mode='predict')
    hits = torch.stack([s.pred_sem_seg.data == s.gt_sem_seg.data for s in found]).float().mean()
    assert hits > 0.8


def test_predictions_have_the_fields_of_the_sample() -> None:
    inputs, samples = pairs(size=(24, 20))
    for sample in samples:
        sample.set_metainfo({'ori_shape': (44, 30), 'img_padding_size': (0, 5, 0, 2)})
    model = make_detector(test_cfg={'mode': 'whole'}).eval()
    with torch.no_grad():
        found = model(inputs, samples, mode='predict')
        alone = model(inputs, mode='predict')
    for sample in found:
        assert sample.seg_logits.data.shape == (2, 44, 30)
        assert sample.pred_sem_seg.data.shape == (1, 44, 30) and sample.pred_sem_seg.data.max() <= 1
        assert sample.pred_sem_t1.data.max() < CLASSES and sample.pred_sem_t2.data.shape == (1, 44, 30)
        assert sample.pred_cd is sample.pred_sem_seg
    assert len(alone) == 2 and alone[0].pred_sem_seg.data.shape == (1, 24, 20)


def test_dead_channel_is_255() -> None:
    model = make_detector(semantic_head={'unchanged_channel': True}).eval()
    logits = torch.zeros(1, CLASSES + 1, 1, 4)
    for pixel in range(4):
        logits[0, pixel, 0, pixel] = 1.0
    assert model.semantic_head.predict(logits).flatten().tolist() == [255, 0, 1, 2]
    terms = model(*pairs(), mode='loss')
    assert all(torch.isfinite(value) for value in terms.values())


def test_labels_are_shifted_for_the_dead_channel() -> None:
    """A head that is sure of the right channel has no loss."""
    model = make_detector(semantic_head={'unchanged_channel': True})
    land = torch.tensor([[[0, 1, 2, 255]]])
    logits = torch.zeros(1, CLASSES + 1, 1, 4)
    for pixel in range(3):
        logits[0, pixel + 1, 0, pixel] = 50.0
    assert max(value.item() for value in model.semantic_head.loss([logits, logits], [land, land]).values()) < 1e-5


def test_batches_without_labels_are_zero_with_a_graph() -> None:
    lovasz = [{'type': 'mmseg.CrossEntropyLoss'}, {'type': 'mmseg.LovaszLoss', 'reduction': 'none'}]
    heads = {'loss_decode': lovasz}
    model = make_detector(change_head=heads, semantic_head=heads, losses_joint=JOINT)
    inputs, samples = pairs()
    for sample in samples:
        for name in ('gt_sem_seg', 'gt_sem_t1', 'gt_sem_t2'):
            sample.get(name).data.fill_(255)
    terms = model(inputs, samples, mode='loss')
    sum(terms.values()).backward()
    assert len(terms) == 8 and all(value.item() == 0 for value in terms.values())


def test_exchanged_dates_exchange_the_maps() -> None:
    model = make_detector(neck={'symmetric': True}, semantic_head={'share_decoder': True}).eval()
    inputs, _ = pairs()
    with torch.no_grad():
        change, first, second = model(inputs)
        swapped_change, swapped_first, swapped_second = model(torch.cat(inputs.chunk(2, 1)[::-1], 1))
    for own, other in ((change, swapped_change), (first, swapped_second), (second, swapped_first)):
        assert torch.allclose(own, other, atol=1e-5)
    assert not torch.allclose(first, second, atol=1e-3)
    ordered = make_detector().eval()
    with torch.no_grad():
        assert not torch.allclose(ordered(inputs)[0], ordered(torch.cat(inputs.chunk(2, 1)[::-1], 1))[0], atol=1e-3)


def count(model: torch.nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())


def test_switches_change_outputs_and_sizes() -> None:
    inputs, _ = pairs()
    full = make_detector().eval()
    no_fft, no_cga = make_detector(neck={'freq': None}).eval(), make_detector(semantic_head={'cga': None}).eval()
    no_cga.load_state_dict(full.state_dict())
    assert count(full) - count(no_fft) == sum(2 * (c * c + 2 * c) + 2 * c * c for c in (16, 32))
    assert count(full) == count(no_cga)
    with torch.no_grad():
        one, other = full(inputs), no_cga(inputs)
    assert torch.equal(one[0], other[0]) and not torch.allclose(one[1], other[1], atol=1e-3)


@pytest.mark.parametrize(('size', 'bands'), [((37, 50), 3), ((21, 32), 4)])
def test_odd_sizes_and_more_bands(size: tuple[int, int], bands: int) -> None:
    model = make_detector(backbone={'in_channels': bands})
    inputs, samples = pairs(size=size, bands=bands)
    assert all(torch.isfinite(v) for v in model(inputs, samples, mode='loss').values())
    with torch.no_grad():
        assert model.eval()(inputs)[2].shape == (2, CLASSES, *size)
    with pytest.raises(ValueError, match='2 \\* B channels'):
        model(torch.randn(1, 3, 8, 8))


def test_slide_equals_whole_on_one_window_and_cuts_padding() -> None:
    window = {'mode': 'slide', 'crop_size': (24, 20), 'stride': (12, 10)}
    model, whole = make_detector(test_cfg=window).eval(), make_detector().eval()
    inputs, _ = pairs()
    with torch.no_grad():
        for own, other in zip(model.inference(inputs), whole.inference(inputs)):
            assert torch.allclose(own, other.log_softmax(1), atol=1e-5)
        found = model(torch.randn(1, 6, 30, 15), mode='predict')[0]
    assert found.pred_sem_seg.data.shape == (1, 30, 15)


def test_another_tile_than_trained_on_warns_once() -> None:
    model = make_detector()
    inputs, samples = pairs()
    model(inputs, samples, mode='loss')
    copy = make_detector()
    copy.load_state_dict(model.state_dict())
    copy.eval()
    with torch.no_grad(), pytest.warns(UserWarning, match=r'trained on tiles of \(24, 20\)') as caught:
        copy(torch.randn(1, 6, 32, 32), mode='predict')
        copy(torch.randn(1, 6, 32, 32), mode='predict')
    assert len(caught) == 1
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter('error')
        model.eval()(inputs, mode='predict')
        model.train_tile.zero_()
        model(torch.randn(1, 6, 32, 32), mode='predict')


def test_a_whole_released_model_is_read(tmp_path) -> None:
    weights = official_mamba_fcs((16, 32, 64, 128), (1, 1, 1, 1), CLASSES)
    torch.save(weights, tmp_path / 'released.pth')
    official = {'classifier': 'pf_official'}
    pretrained = {'type': 'Pretrained', 'checkpoint': str(tmp_path / 'released.pth'), 'key_map': 'mamba_fcs'}
    sizes = {'dims': (16, 32, 64, 128), 'depths': (1, 1, 1, 1), 'out_indices': (0, 1, 2, 3)}
    dead = {'unchanged_channel': True}
    model = make_detector(
        backbone=sizes, change_head=official, semantic_head={**official, **dead}, init_cfg=pretrained
    )
    model.init_weights()
    state = model.state_dict()
    same = {
        'backbone.stages.1.0.op.A_log': weights['encoder.layers.1.blocks.0.op.A_logs'].view(4, 64, 1),
        'neck.fusions.1.reduce.0.weight': weights['decoder_bcd.fuse_layer_3.reduce_conv.weight'],
        'neck.fusions.0.spatial_gate.conv.weight': weights['decoder_bcd.fuse_layer_4.sp_gate.conv.weight'].flip(1),
        'change_head.decoder.blocks.0.op.in_proj.weight': weights['decoder_bcd.st_block_11.1.op.in_proj.weight'],
        'change_head.classifier.channel_gate.constant': weights['main_clf_cd.channel_att.fc.2.bias'],
        'semantic_head.decoders.1.final.bn2.running_var': weights['decoder_T2.smooth_layer_0_semantic.bn2.running_var'],
    }
    assert all(torch.equal(state[name], value) for name, value in same.items())
    with pytest.raises(CheckpointError, match='does not fit'):
        make_detector(backbone=sizes, semantic_head=dead, init_cfg={**pretrained, 'key_map': None}).init_weights()


def test_missing_maps_and_wrong_test_cfg_are_told() -> None:
    inputs, samples = pairs()
    samples[1].pop('gt_sem_t2')
    with pytest.raises(ValueError, match='no gt_sem_t2'):
        make_detector()(inputs, samples, mode='loss')
    with pytest.raises(ValueError, match='stride'):
        make_detector(test_cfg={'mode': 'slide', 'crop_size': (8, 8)})
    with pytest.raises(ValueError, match=r'test_cfg.mode must be one of'):
        make_detector(test_cfg={'mode': 'tiles'})
