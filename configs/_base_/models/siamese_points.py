# Siamese sparse U-Net of CPU size: 16 channels at cells of a metre, three levels below; Encoder-Fusion; balanced
# softmax for what the crops leave of the imbalance.
model = dict(
    type='imbdense.SiamesePointChange',
    fusion='ef',
    backbone=dict(
        type='imbdense.SparseUNet', in_channels=1, base_channels=16, depth=3, blocks=(1, 1, 1), bn_momentum=0.1),
    decode_head=dict(
        type='imbdense.PointSegHead',
        num_classes=7,
        loss_decode=dict(type='imbdense.BalancedSoftmaxLoss', loss_name='loss_ce')))
