# Mamba-FCS with VMamba-T: siamese encoder, fusion in space and frequency, change decoder, two guided semantic decoders.
# num_classes is the number of land covers.
model = dict(
    type='imbdense.SemanticChangeDetector',
    data_preprocessor=dict(
        type='imbdense.DenseDataPreProcessor', dates=2, bgr_to_rgb=True,
        mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375]),
    backbone=dict(type='imbdense.VSSM', arch='tiny'),
    neck=dict(type='imbdense.JSFusionNeck', freq='log_amplitude'),
    change_head=dict(
        type='imbdense.VSSChangeHead',
        loss_decode=[
            dict(type='CrossEntropyLoss', avg_non_ignore=True),
            dict(type='imbdense.BinnedLovaszLoss', loss_weight=0.5)]),
    semantic_head=dict(
        type='imbdense.CGASemanticHead',
        num_classes=6,
        cga='mul',
        loss_decode=[
            dict(type='CrossEntropyLoss', avg_non_ignore=True, loss_weight=0.5),
            dict(type='imbdense.BinnedLovaszLoss', loss_weight=0.5)]),
    losses_joint=[
        dict(type='imbdense.SoftSeKLoss', loss_weight=1.0, mode='linear', sync=True),
        dict(type='imbdense.UnchangedConsistencyLoss', loss_weight=0.05)],
    test_cfg=dict(mode='whole'))
