# Shows losses for the rare class on a change map: FC-Siam-diff with balanced softmax and a Tversky term per class.
_base_ = [
    '../_base_/models/fc_siam.py',
    '../_base_/datasets/dubai_scd_semisynthetic.py', '../_base_/schedules/adamw_200.py',
    '../_base_/runtime/segmentation.py'
]
train_dataloader = dict(batch_size=2)
losses = [
    dict(type='imbdense.BalancedSoftmaxLoss', loss_name='loss_ce'),
    dict(type='imbdense.PerClassTverskyLoss', loss_name='loss_tversky')]
model = dict(decode_head=dict(loss_decode=losses))
