"""The config of a round: what changes in a base config, and what does not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip('mmseg')

from mmengine.config import Config

from imbdense.mm.pseudo_label.union import UnionError, UnionOptions, union_config

PIPELINE = [
    dict(type='LoadImageFromFile'), dict(type='LoadAnnotations', reduce_zero_label=True),
    dict(type='RandomCrop', crop_size=(64, 48), cat_max_ratio=0.75),
    dict(type='PackSegInputs', meta_keys=('img_path',)),
]  # fmt: skip
HEAD = dict(type='FCNHead', num_classes=3)


def base(**changes: Any) -> Config:
    """A segmentation config with an auxiliary head."""
    config = Config(dict(
        model=dict(type='EncoderDecoder', decode_head=HEAD, auxiliary_head=[HEAD, HEAD]),
        train_dataloader=dict(
            batch_size=4, num_workers=3, sampler=dict(type='InfiniteSampler'),
            dataset=dict(type='RepeatDataset', times=2, dataset=dict(type='MySet', ann_file='a', pipeline=PIPELINE))),
        val_dataloader=dict(dataset=dict(type='MySet', ann_file='v', pipeline=[])),
        train_cfg=dict(type='IterBasedTrainLoop', max_iters=9),
        custom_hooks=[dict(type='Any')]))  # fmt: skip
    config.merge_from_dict(changes)
    return config


def union(config: Config, mined: tuple[int, ...] = (), **options: Any) -> Config:
    return union_config(config, Path('w/images.txt'), Path('w/pseudo'), UnionOptions(**options), mined)


def test_what_changes() -> None:
    """Data set and sampler; the label loader of the new part, which reads index masks as they are."""
    config = base()
    before = config.pretty_text
    made = union(config)
    assert config.pretty_text == before, 'the base stays as it is'
    data = made.train_dataloader.dataset
    assert (data.type, data.pseudo_dir, data.counts) == ('imbdense.SemiLongTailDataset', 'w/pseudo', 'merged')
    assert data.labeled == config.train_dataloader.dataset and data.validation == config.val_dataloader.dataset
    assert data.unlabeled.ann_file == 'w/images.txt'
    steps = data.unlabeled.pipeline
    assert [step.type for step in steps] == ['LoadImageFromFile', 'imbdense.LoadSegMask', 'RandomCrop', 'PackSegInputs']
    assert steps[2] == PIPELINE[2] and set(steps[1]) == {'type'}
    assert made.train_dataloader.sampler == dict(type='imbdense.TwoStreamSampler', batch_size=4, ratio=(1.0, 1.0),
                                                 infinite=True)  # fmt: skip
    assert made.train_dataloader.num_workers == 3
    for key in ('model', 'val_dataloader', 'train_cfg', 'custom_hooks'):
        assert made[key] == config[key], key


@pytest.mark.parametrize('options', [{'weight': 0.5}, {'by_confidence': True}])
def test_weights_open_the_route_in_every_head(options: dict[str, Any]) -> None:
    made = union(base(), **options)
    types = [step.type.rsplit('.')[-1] for step in made.train_dataloader.dataset.unlabeled.pipeline]
    assert types == ['LoadImageFromFile', 'LoadSegMask', 'LoadPixelWeight', 'RandomCrop', 'PackSegInputsWithWeight']
    assert made.train_dataloader.dataset.unlabeled.pipeline[-1].meta_keys == ('img_path',)
    heads = [made.model.decode_head, *made.model.auxiliary_head]
    assert [head.type for head in heads] == ['imbdense.PixelWeightHead'] * 3 and heads[0].base == HEAD
    data = made.train_dataloader.dataset
    assert (data.weight_unlabeled, data.confidence_weight) == (options.get('weight', 1.0), 'weight' not in options)


def test_mining_exchanges_the_crop_of_both_parts() -> None:
    made = union(base(), mined=(2, 0), mine_rate=0.8)
    data = made.train_dataloader.dataset
    for steps in (data.labeled.dataset.pipeline, data.unlabeled.pipeline):
        assert steps[2] == dict(type='imbdense.RareClassCrop', crop_size=(64, 48), rate=0.8, classes=[2, 0], power=0.0)


def test_an_epoch_based_run_has_epochs() -> None:
    config = base()
    config.train_cfg = dict(by_epoch=True, max_epochs=3)
    assert union(config).train_dataloader.sampler.infinite is False


def test_refusals_say_what_to_change() -> None:
    def without_crop(config: Config) -> None:
        del config.train_dataloader.dataset.dataset.pipeline[2]

    def without_label(config: Config) -> None:
        del config.train_dataloader.dataset.dataset.pipeline[1]

    for change, mined, words in (
        (lambda c: c.model.pop('decode_head'), (), 'no segmentor .*self_training.md'),
        (lambda c: c.train_dataloader.update(batch_size=1), (), 'batch_size must be at least 2'),
        (lambda c: c.train_dataloader.dataset.update(unlabeled={}), (), 'labelled images only'),
        (without_crop, (1,), 'it has none of RandomCrop'),
        (without_label, (), 'no step to be exchanged'),
    ):
        config = base()
        change(config)
        with pytest.raises(UnionError, match=words):
            union(config, mined)
