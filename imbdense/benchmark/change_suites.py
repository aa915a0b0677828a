"""What `imbdense benchmark change` compares: pairs, detectors of change, tools against imbalance."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from imbdense.benchmark.proof_suites import short_schedule
from imbdense.benchmark.suites import Method, Suite

FOLDER = 'change_detection'
BALANCED = [
    dict(type='imbdense.BalancedSoftmaxLoss', loss_name='loss_ce'),
    dict(type='imbdense.PerClassDiceLoss', loss_name='loss_dice')]
HALF_PRIOR = [dict(type='imbdense.LogitAdjustLoss', tau=0.5, loss_name='loss_ce'), BALANCED[1]]
LOSS = 'model.decode_head.loss_decode'
TILES = {'train_dataloader.sampler': dict(type='imbdense.BalancedClassSampler')}
PRETRAINED = f'{FOLDER}/siamese_mobilenetv2_dubai_scd.py'
ITERATIONS = 300
SAVE_BEST = 'default_hooks.checkpoint.save_best'


@dataclass(frozen=True, eq=False)
class PairSource:
    """One data set of pairs.

    Attributes:
        land_covers: how many; 0 = binary change alone, for which there is neither Mamba-FCS nor post-classification.
        prepare: verb that makes it.
        bands: per date. crop: side of the training crops.
        note: printed above the table.
    """

    name: str
    land_covers: int
    prepare: tuple[str, ...]
    note: str
    bands: int = 3
    crop: int = 96

    @property
    def data_root(self) -> str:
        """Where the prepared data lie."""
        return f'data/{self.name}'


def _scenes(percent: int) -> PairSource:
    """Generated pairs with so many per cent of the pixels changed."""
    name = f'pairs_{percent}'
    prepare = ('generate', 'pairs', '--preset', 'demo', '--change-share', str(percent / 100), '--out', f'data/{name}')
    return PairSource(
        name, 8, prepare,
        f'Generated scenes, {percent} % of the pixels change; 120 tiles of 128 px to learn from, 40 to test. Season, '
        'light and half a pixel of misregistration differ between the dates.')


_ALL = (
    PairSource(
        'dubai_scd_semisynthetic', 5, ('prepare', 'dubai_scd_semisynthetic', '{sources}/dubai_scd_semisynthetic'),
        '30 + 10 pairs of 320 px, real images with pasted objects; 3.6 % of the pixels change.'),
    PairSource(
        'landsat_taizhou_cd', 0, ('prepare', 'landsat_taizhou_cd', '{sources}/landsat_taizhou_cd'),
        'One pair of Landsat scenes, 6 bands, in 18 + 7 tiles of 64 px apart in space; 87 % of the pixels have no '
        'label.', bands=6, crop=64),
    _scenes(1), _scenes(5), _scenes(20),
)
SOURCES: dict[str, PairSource] = {source.name: source for source in _ALL}
"""Every data set by name."""


def change_suite(source: PairSource) -> Suite:
    """One suite; its first row is the plain baseline."""
    methods = [
        Method('fc_siam_diff', _model_lines(source), 'FC-Siam-diff, cross-entropy'),
        _unet('unet', source, {}, 'plain U-Net on the stacked bands of both dates, cross-entropy'),
        _unet('unet_balanced', source, {LOSS: BALANCED}, 'the same with balanced softmax and Dice per class'),
        _unet('unet_tiles', source, {**TILES, **_crop(source)},
              'the same with cross-entropy, tiles and crops with change drawn as often as those without'),
    ]
    if source.bands == 3:  # the weights have seen three bands
        methods += [
            Method('siamese', _model_lines(source), 'ImageNet MobileNetV2 and FPN per date, |a - b|, cross-entropy',
                   PRETRAINED),
            Method('siamese_balanced', {**_model_lines(source), LOSS: BALANCED},
                   'the same with balanced softmax and Dice per class', PRETRAINED),
            Method('siamese_half_prior', {**_model_lines(source), LOSS: HALF_PRIOR},
                   'the same with half the prior in the loss and Dice per class', PRETRAINED),
        ]
    if source.land_covers:
        plain = {'model.losses_joint': [dict(type='imbdense.UnchangedConsistencyLoss', loss_weight=0.05)]}
        methods += [
            _mamba('mamba_fcs', source, plain, 'Mamba-FCS of 16 to 64 channels, cross-entropy and Lovász'),
            _mamba('mamba_fcs_soft_sek', source, {}, 'the same with SoftSeK'),
        ]
        methods += comparison_methods(source)
    return Suite(
        source.name, f'{FOLDER}/fc_siam_diff_dubai_scd.py', tuple(methods), 'bcd/F1', ('bcd/recall', 'bcd/precision'),
        ('bcd/AP', 'scd/sem/SeK', 'scd/sem/F_scd'), source.data_root, (*source.prepare, *_out(source)),
        f'{source.note} {ITERATIONS} iterations of 4 crops of {source.crop} px.', _data_lines(source))


def land_cover_suite(source: PairSource) -> Suite:
    """The training behind post-classification: land cover of single dates, of the same pairs."""
    lines: dict[str, Any] = {
        **short_schedule(ITERATIONS), 'model.decode_head.num_classes': source.land_covers,
        'model.data_preprocessor.size': (96, 96),
        LOSS: [dict(type='imbdense.LogitAdjustLoss', tau=0.5), dict(type='imbdense.PerClassDiceLoss')]}
    for loader, split in (('train_dataloader', 'train'), ('val_dataloader', 'val')):
        lines |= {
            f'{loader}.dataset.data_root': source.data_root,
            f'{loader}.dataset.data_prefix': dict(img_path='t1', seg_map_path='label_t1'),
            f'{loader}.dataset.ann_file': f'splits/{split}.txt',
            f'{loader}.dataset.metainfo': dict(classes=tuple(f'class {k}' for k in range(source.land_covers))),
        }
    lines |= {
        'train_dataloader.dataset.pipeline.2': dict(
            type='RandomResize', scale=(320, 320), ratio_range=(0.8, 1.25), keep_ratio=True),
        'train_dataloader.dataset.pipeline.3.crop_size': (96, 96),
        'val_dataloader.dataset.pipeline': [
            dict(type='LoadImageFromFile'), dict(type='imbdense.LoadSegMask'), dict(type='PackSegInputs')],
    }
    return Suite(
        f'{source.name}_land_cover', 'segmentation/fpn_mobilenetv2_dubai_ce.py', (Method('segmentor'),), 'mIoU', (),
        data_root=source.data_root, prepare=(*source.prepare, *_out(source)), lines=lines)


def comparison_methods(source: PairSource) -> tuple[Method, ...]:
    """How two land-cover maps become a change map."""
    lines = {'model.segmentor.decode_head.num_classes': source.land_covers}
    config = f'{FOLDER}/post_classification_dubai_scd.py'
    labels = 'custom_hooks.0.labels'
    return (
        Method('post_argmax', {**lines, 'model.mode': 'argmax', f'{labels}.data_root': source.data_root},
               'post-classification, two land-cover maps compared as they are', config),
        Method('post_estimated', {**lines, labels: None, 'model.threshold': None},
               'post-classification with transitions estimated from the tested images', config),
        Method('post_counted', {**lines, f'{labels}.data_root': source.data_root},
               'post-classification with transitions counted in the training pairs, change from a probability of .1',
               config),
    )


def _out(source: PairSource) -> tuple[str, ...]:
    """The option that says where the data go, where the verb has not been told."""
    return () if '--out' in source.prepare else ('--out', source.data_root)


def _data_lines(source: PairSource) -> dict[str, Any]:
    """What every row has in common."""
    lines: dict[str, Any] = {
        **short_schedule(ITERATIONS), 'train_dataloader.dataset.pipeline.1.crop_size': (source.crop,) * 2}
    for loader in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
        lines[f'{loader}.dataset.data_root'] = source.data_root
    if source.bands != 3:  # colours are distorted in three bands only
        lines['train_dataloader.dataset.pipeline.3.transforms'] = []
    return lines


def _model_lines(source: PairSource, stacked: bool = False) -> Mapping[str, Any]:
    """What detectors of binary change need, and what the bands change in a model of three."""
    lines: dict[str, Any] = {'val_evaluator': dict(type='imbdense.BCDMetric'), SAVE_BEST: None}
    if source.bands == 3:
        return lines
    return lines | {
        'model.data_preprocessor.mean': [127.5] * source.bands,
        'model.data_preprocessor.std': [127.5] * source.bands,
        'model.data_preprocessor.bgr_to_rgb': False,
        'model.backbone.in_channels': source.bands * (2 if stacked else 1),
        f'{LOSS}.avg_non_ignore': True,  # most pixels may have no label
    }


def _unet(name: str, source: PairSource, lines: Mapping[str, Any], why: str) -> Method:
    """A row of the stacked U-Net."""
    own = {**_model_lines(source, stacked=True), 'model.data_preprocessor.size': (source.crop,) * 2}
    return Method(name, {**own, **lines}, why, f'{FOLDER}/unet_stacked_dubai_scd.py')


def _mamba(name: str, source: PairSource, lines: Mapping[str, Any], why: str) -> Method:
    """A row of Mamba-FCS."""
    own = {'model.semantic_head.num_classes': source.land_covers, 'train_dataloader.batch_size': 4}
    return Method(name, {**own, **lines}, why, f'{FOLDER}/mamba_fcs_pico_dubai_scd.py')


def _crop(source: PairSource) -> Mapping[str, Any]:
    """A crop around changes."""
    crop = dict(type='imbdense.ChangeAwareCrop', crop_size=(source.crop,) * 2, rate=0.75)
    return {'train_dataloader.dataset.pipeline.1': crop}
