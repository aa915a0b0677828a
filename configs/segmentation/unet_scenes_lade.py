# Shows three terms in one head on the embedded aerial scenes: balanced softmax, the LADE regulariser at its published
# weight 0.1, and a Dice per class; as one MixedLoss, the form that also fits the loss_cls of a detector.
_base_ = [
    '../_base_/models/unet_small.py', '../_base_/datasets/scenes.py',
    '../_base_/schedules/adamw_600.py', '../_base_/runtime/segmentation.py'
]
model = dict(
    decode_head=dict(
        loss_decode=dict(
            type='imbdense.MixedLoss',
            losses=[
                dict(type='imbdense.BalancedSoftmaxLoss'),
                dict(type='imbdense.LADELoss'),
                dict(type='imbdense.PerClassDiceLoss'),
            ])))
