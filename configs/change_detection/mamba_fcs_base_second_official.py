# Shows the released recipe on SECOND, to compare with: VMamba-B, batch 2 of whole 512 x 512 pairs, AdamW 1e-4 halved
# every 10 000 iterations, weight decay on all parameters, the released SeK loss, "unchanged" as a land-cover channel;
# turns and flips, exchanged dates, mild light per date (the release draws its light from a normal distribution).
# Protocol of the release and of published tables: all training pairs, and the checkpoint that is best *on the test
# split* is kept. Its score flatters; mamba_fcs_{tiny,small}_second.py choose on val, as you should.
_base_ = [
    '../_base_/models/mamba_fcs.py', '../_base_/datasets/second.py', '../_base_/schedules/adamw_40k.py',
    '../_base_/runtime/segmentation.py'
]
weights = None  # vssm_base_0229 of VMamba
ce = dict(type='CrossEntropyLoss', avg_non_ignore=True)
lovasz = dict(type='LovaszLoss', classes='present', reduction='none', loss_weight=0.5)
model = dict(
    backbone=dict(
        arch='base', init_cfg=weights and dict(type='Pretrained', checkpoint=weights, key_map='vmamba0229')),
    change_head=dict(classifier='pf_official', loss_decode=[ce, lovasz]),
    semantic_head=dict(
        classifier='pf_official', unchanged_channel=True,
        loss_decode=[dict(type='CrossEntropyLoss', avg_non_ignore=True, loss_weight=0.5), lovasz]),
    losses_joint=[
        # The release starts it at once, which is NaN where the first batches score below chance.
        dict(type='imbdense.OfficialSeKLoss', loss_weight=0.5, start_iter=1000),
        dict(type='imbdense.UnchangedConsistencyLoss', loss_weight=0.05)])
train_pipeline = [
    dict(type='imbdense.LoadChangePair'),
    dict(type='RandomFlip', prob=0.5, direction='horizontal'),
    dict(type='RandomRotFlip', rotate_prob=0.0, flip_prob=1.0),  # with the flip: all eight positions of the square
    dict(type='imbdense.SwapDates', prob=0.5),
    dict(
        type='imbdense.PerDate',
        transforms=[
            dict(
                type='PhotoMetricDistortion', brightness_delta=20, contrast_range=(0.9, 1.1),
                saturation_range=(0.9, 1.1), hue_delta=1)]),
    dict(type='imbdense.PackChangeInputs'),
]
train_dataloader = dict(
    batch_size=2,
    dataset=dict(
        pipeline=train_pipeline,
        ann_file='',  # train and val
        data_prefix=dict(
            img_path_from='t1/train', img_path_to='t2/train', seg_map_path='label_change/train',
            seg_map_path_from='label_t1/train', seg_map_path_to='label_t2/train')))
val_dataloader = dict(dataset=dict(ann_file='splits/test.txt'))
optim_wrapper = dict(
    optimizer=dict(lr=1e-4, weight_decay=5e-4),
    paramwise_cfg=dict(norm_decay_mult=1.0, custom_keys=dict(decode_head=dict(lr_mult=1.0))),
    clip_grad=None)
param_scheduler = [dict(type='StepLR', step_size=10000, gamma=0.5, by_epoch=False)]
train_cfg = dict(max_iters=200000, val_interval=5000)  # 400 000 samples
default_hooks = dict(checkpoint=dict(interval=5000, save_best='scd/sem/SeK', rule='greater'))
