# Sparse U-Net of CPU size (0.9 M parameters): 16 channels at voxels of half a metre, three levels below. Four
# features: height above ground, intensity, number of the return, number of returns; cross-entropy.
model = dict(
    type='imbdense.PointEncoderDecoder',
    data_preprocessor=dict(
        type='imbdense.PointDataPreProcessor', voxel_size=0.5,
        mean=(4.0, 1000.0, 1.3, 1.6), std=(5.0, 500.0, 0.7, 1.0), clip=5.0),
    backbone=dict(
        type='imbdense.SparseUNet', in_channels=4, base_channels=16, depth=3, blocks=(1, 1, 1), bn_momentum=0.1),
    decode_head=dict(
        type='imbdense.PointSegHead',
        num_classes=9,
        loss_decode=dict(type='imbdense.ReweightedCELoss', gamma=0, loss_name='loss_ce')))
