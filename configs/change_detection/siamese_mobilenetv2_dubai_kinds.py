# Shows direct multi-class change: unchanged, or into which land cover, by one softmax; rare kinds by balanced softmax
# and Dice per class. Make the data with
#   imbdense prepare dubai_scd_semisynthetic
#   imbdense prepare change-kinds data/dubai_scd_semisynthetic --by to --out data/dubai_scd_kinds
# and every transition instead with --by from_to (then num_classes = 16).
_base_ = [
    '../_base_/models/mobilenetv2_fpn.py', '../_base_/datasets/dubai_scd_semisynthetic.py',
    '../_base_/schedules/adamw_200.py', '../_base_/runtime/segmentation.py'
]
kinds = dict(dataset=dict(data_root='data/dubai_scd_kinds'))
train_dataloader = kinds
val_dataloader = kinds
test_dataloader = kinds
model = dict(
    type='imbdense.SiameseSegmentor',
    data_preprocessor=dict(type='imbdense.DenseDataPreProcessor', dates=2),
    decode_head=dict(
        in_channels=[64] * 5,
        num_classes=5,  # nothing became land
        loss_decode=[
            dict(type='imbdense.BalancedSoftmaxLoss', loss_name='loss_ce'),
            dict(type='imbdense.PerClassDiceLoss', loss_name='loss_dice')
        ]),
    fusion='concat')  # |a - b| does not tell into what
val_evaluator = [dict(type='imbdense.ConfusionMetric'), dict(type='imbdense.BCDMetric')]
test_evaluator = val_evaluator
