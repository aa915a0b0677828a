"""Point segmentation from packed clouds to predictions at raw points, with the losses, hooks and ledger of images."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from mmengine.dataset import pseudo_collate
from mmengine.registry import MODELS

from imbdense.core.inference import LogitCalibration
from imbdense.core.stats import ClassCounts, PriorLedger
from imbdense.mm.data_preprocessors.point_data_pre_processor import PointDataPreProcessor
from imbdense.mm.hooks.class_count_hook import bind_losses
from imbdense.mm.logit_attachment import attach_logit_map
from imbdense.mm.segmentors.point_encoder_decoder import voxel_labels
from imbdense.mm.structures.point_seg_data_sample import PointSegDataSample
from imbdense.mm.transforms.pack_point_inputs import PackPointInputs
from tests.helpers.point_scenes import CLASSES, ORIGIN, street


def packed(seed: int = 0, side: float = 16.0) -> dict[str, Any]:
    scene = street(seed, side=side, objects=(1, 1, 2, 2, 1))
    return PackPointInputs(('ones', 'rgb'))({
        'points': (scene['xyz'] - ORIGIN).astype(np.float32), 'gt_semantic': scene['semantic'],
        'gt_instance': scene['instance'], 'attributes': {'rgb': (scene['rgb'] / 255).astype(np.float32)},
        'points_path': f'street_{seed}.npz', 'scene': f'street_{seed}', 'origin': ORIGIN,
    })  # fmt: skip


def model(*losses: dict[str, Any], **options: Any) -> Any:
    torch.manual_seed(0)
    return MODELS.build({
        'type': 'imbdense.PointEncoderDecoder',
        'data_preprocessor': {'type': 'imbdense.PointDataPreProcessor', 'voxel_size': 0.5},
        'backbone': {'type': 'imbdense.SparseUNet', 'in_channels': 4, 'base_channels': 8, 'depth': 2, 'blocks': (1, 1),
                     'bn_momentum': 0.2},
        'decode_head': {'type': 'imbdense.PointSegHead', 'num_classes': 6,
                        'loss_decode': list(losses) or [{'type': 'imbdense.BalancedSoftmaxLoss'}]},
        **options,
    })  # fmt: skip


def batch(net: Any, *seeds: int) -> dict[str, Any]:
    return net.data_preprocessor(pseudo_collate([packed(seed) for seed in seeds]), True)


def test_voxels_and_the_way_back() -> None:
    data = batch(model(), 0, 1)
    voxels, samples = data['inputs'], data['data_samples']
    assert voxels.batch_size == 2 and voxels.feats.shape == (len(voxels), 4)
    for number, sample in enumerate(samples):
        points, features = packed(number)['inputs'].values()
        at = sample.voxel_index
        assert (voxels.coords[at][:, 0] == number).all()
        assert torch.equal(voxels.coords[at][:, 1:], torch.floor(points.double() / 0.5).long())
        row = int(at[7])
        assert torch.allclose(voxels.feats[row], features[at == row].mean(0), atol=1e-6)


def test_label_of_a_voxel_is_the_majority() -> None:
    sample = PointSegDataSample()
    from imbdense.mm.structures.point_seg_data_sample import PointData

    sample.gt_pts_seg = PointData(semantic=torch.tensor([2, 1, 1, 3, 2, -1, -1]))
    sample.voxel_index = torch.tensor([0, 0, 0, 1, 1, 1, 2])
    assert voxel_labels([sample], 3).tolist() == [1, 2, -1]  # ties: smaller id; -1 only alone
    with pytest.raises(ValueError, match=r'c\.laz has no labels'):
        voxel_labels([PointSegDataSample(metainfo={'points_path': 'c.laz'}, gt_pts_seg=PointData())], 3)


@pytest.mark.parametrize('loss', [
    {'type': 'imbdense.BalancedSoftmaxLoss'}, {'type': 'imbdense.LogitAdjustLoss'},
    {'type': 'imbdense.ReweightedCELoss', 'scheme': 'randla'}, {'type': 'imbdense.SoftmaxFocalLoss'},
    {'type': 'imbdense.PerClassDiceLoss'}, {'type': 'imbdense.BinnedLovaszLoss'},
    {'type': 'imbdense.SyncedSeesawLoss'}, {'type': 'imbdense.LDAMLoss'}, {'type': 'mmseg.CrossEntropyLoss'},
], ids=lambda item: item['type'])  # fmt: skip
def test_losses_of_images_learn_points(loss: dict[str, Any]) -> None:
    net = model(loss)
    terms = net(**batch(net, 0), mode='loss')
    total = sum(value for name, value in terms.items() if 'loss' in name)
    total.backward()
    gradient = net.backbone.stem[0].weight.grad
    assert torch.isfinite(total) and gradient.abs().sum() > 0 and 0 <= float(terms['acc_seg']) <= 100


def test_losses_of_one_name_are_added() -> None:
    net = model({'type': 'imbdense.BalancedSoftmaxLoss', 'loss_name': 'loss_a'},
                {'type': 'imbdense.PerClassDiceLoss', 'loss_name': 'loss_a'})  # fmt: skip
    assert {name for name in net(**batch(net, 0), mode='loss') if 'loss' in name} == {'loss_a'}


def test_prediction_is_that_of_the_voxel_of_every_point() -> None:
    net = model(test_cfg={'scores': True}).eval()
    data = batch(net, 0, 1)
    with torch.no_grad():
        logits, found = net(**data, mode='tensor'), net(**data, mode='predict')
    for number, sample in enumerate(found):
        assert len(sample.pred_pts_seg.semantic) == len(packed(number)['inputs']['points'])
        assert torch.equal(sample.pred_pts_seg.semantic, logits.argmax(1)[sample.voxel_index])
        assert torch.allclose(sample.pred_pts_seg.scores.sum(1), torch.ones(len(sample.pred_pts_seg)))
        assert sample.to_dict()['pred_pts_seg']['semantic'] is sample.pred_pts_seg.semantic
    with pytest.raises(ValueError, match='scores'):
        model(test_cfg={'mode': 'slide'})


def test_it_learns_a_street() -> None:
    """The behaviour that can fail: 40 steps on one street tell ground, houses and trees apart."""
    net = model({'type': 'imbdense.ReweightedCELoss', 'gamma': 0})
    data = batch(net, 0)
    optimiser = torch.optim.AdamW(net.parameters(), lr=0.02)
    for _ in range(40):
        optimiser.zero_grad()
        net.loss(**data)['loss_ce_reweighted'].backward()
        optimiser.step()
    net.eval()
    with torch.no_grad():
        sample = net.predict(**data)[0]
    right = sample.pred_pts_seg.semantic == sample.gt_pts_seg.semantic
    assert float(right.float().mean()) > 0.9


def test_all_points_ignored_give_zero_loss_and_gradient() -> None:
    net = model()
    data = batch(net, 0)
    data['data_samples'][0].gt_pts_seg.semantic = torch.full_like(data['data_samples'][0].gt_pts_seg.semantic, -1)
    terms = net(**data, mode='loss')
    terms['loss_ce_balanced'].backward()
    assert float(terms['loss_ce_balanced'].detach()) == 0 and float(terms['acc_seg']) == 0
    assert all(p.grad is None or float(p.grad.abs().sum()) == 0 for p in net.parameters())


def test_counts_ledger_and_deferral_reach_the_losses() -> None:
    net = model({'type': 'imbdense.BalancedSoftmaxLoss'}, {'type': 'imbdense.PerClassDiceLoss'})
    counts = ClassCounts(CLASSES, pixels=[9000, 800, 700, 90, 9, 30])
    ledger = PriorLedger(CLASSES, counts.pixels)
    assert bind_losses(net, ledger, counts) == ['decode_head', 'decode_head.loss_decode.0']
    assert ledger.prior == pytest.approx([1 / 6] * 6)
    loss = net.decode_head.loss_decode[0]
    assert loss.known_counts().tolist() == pytest.approx([9000, 800, 700, 90, 9, 30])
    data = batch(net, 0)
    balanced = float(net(**data, mode='loss')['loss_ce_balanced'].detach())
    loss.set_rebalancing(False)
    assert float(net(**data, mode='loss')['loss_ce_balanced'].detach()) != pytest.approx(balanced)


def test_large_weights_are_warned_of() -> None:
    net = model({'type': 'imbdense.ReweightedCELoss', 'scheme': 'inverse', 'class_counts': [1e6, 1e5, 1e5, 1e4, 5, 50]})
    with pytest.warns(UserWarning, match='above 50'):
        net(**batch(net, 0), mode='loss')


def test_post_hoc_shift_moves_predictions() -> None:
    net = model().eval()
    data = batch(net, 0)
    shift = (0.0, 0.0, 0.0, 0.0, 100.0, 0.0)
    with torch.no_grad():
        removers = attach_logit_map(net, LogitCalibration('logit-adjust', shift), 'test')
        assert (net(**data, mode='predict')[0].pred_pts_seg.semantic == 4).all()
        for remove in removers:
            remove()
        assert (net(**data, mode='predict')[0].pred_pts_seg.semantic != 4).any()


def test_bf16_autocast_is_close() -> None:
    net = model().eval()
    data = batch(net, 0)
    with torch.no_grad():
        exact = net(**data, mode='tensor')
        with torch.autocast('cpu', torch.bfloat16):
            rounded = net(**data, mode='tensor')
    assert float((exact - rounded.float()).abs().max()) < 0.1 * float(exact.abs().max())


def test_preprocessor_normalises_clips_and_names_bad_clouds() -> None:
    pre = PointDataPreProcessor(1.0, mean=(1.0,), std=(2.0,), clip=3.0)
    points = torch.tensor([[0.2, 0, 0], [1.5, 0, 0], [9.0, 0, 0]])
    sample = PointSegDataSample(metainfo={'points_path': 'bad.laz'})
    found = pre({'inputs': {'points': [points], 'features': [torch.tensor([[5.0], [99.0], [0.0]])]}})
    assert found['inputs'].feats[:, 0].tolist() == [2.0, 3.0, -0.5] and len(found['data_samples']) == 1
    for wrong in (torch.tensor([[float('nan')], [0], [0]]), torch.zeros(3, 2)):
        with pytest.raises(ValueError, match=r'bad\.laz'):
            pre({'inputs': {'points': [points], 'features': [wrong]}, 'data_samples': [sample]})
    broken = points.clone()
    broken[1, 1] = float('inf')
    with pytest.raises(ValueError, match=r'bad\.laz.*NaN'):
        pre({'inputs': {'points': [broken], 'features': [torch.zeros(3, 1)]}, 'data_samples': [sample]})
    with pytest.raises(ValueError, match='std'):
        PointDataPreProcessor(1.0, mean=(1.0,), std=(0.0,))


def test_widths_that_do_not_fit_name_what_to_set() -> None:
    net = model()
    data = batch(net, 0)
    narrow = data['inputs'].replace(data['inputs'].feats[:, :3])
    with pytest.raises(ValueError, match=r'in_channels=4, but the points have 3 features.*PackPointInputs'):
        net(narrow, data['data_samples'], mode='loss')
    five = ClassCounts(CLASSES[:5], pixels=np.ones(5))
    with pytest.raises(ValueError, match=r'num_classes=6, but the training set has 5.*decode_head.num_classes=5'):
        bind_losses(net, PriorLedger(five.classes, five.pixels), five)


@pytest.mark.parametrize('name', ['FocalLoss', 'DiceLoss'])
def test_a_loss_that_wants_maps_is_named(name: str) -> None:
    pytest.importorskip('mmseg')
    network = model({'type': f'mmseg.{name}'})
    data = network.data_preprocessor(pseudo_collate([packed()]), training=True)
    with pytest.raises(ValueError, match=rf'mmseg\.{name} takes no logits \(V, C\) of points.*mmseg\.CrossEntropyLoss'):
        network.loss(**data)
