# Shows a loss that needs the features in front of the classifier: FeatureTapHook hands them over from the decode head
# as it is, no head of its own is needed.
_base_ = [
    '../_base_/models/unet_small.py', '../_base_/datasets/scenes.py',
    '../_base_/schedules/adamw_600.py', '../_base_/runtime/segmentation.py'
]
model = dict(
    decode_head=dict(loss_decode=dict(type='imbdense.InfluenceBalancedLoss', alpha=10.0, scheme='effective')))
default_hooks = dict(feature_tap=dict(type='imbdense.FeatureTapHook'))
