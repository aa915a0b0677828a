# Pillars of 0.4 m, two levels of convolutions, anchors of the sizes of the source domain; 0.15 M weights.
extent = (2.0, -12.8, 27.6, 12.8)
detector = dict(
    type='imbdense.PillarDetector',
    encoder=dict(in_features=1, out_channels=24, extent=extent, cell=0.4),
    backbone=dict(channels=(32, 48), layers=(1, 2), strides=(1, 2), out_channels=32),
    bbox_head=dict(
        sizes=[(4.7, 1.95, 1.75), (0.8, 0.7, 1.75), (1.85, 0.65, 1.75)],
        heights=[0.88, 0.88, 0.88],
        positive=[0.5, 0.35, 0.4],
        negative=[0.35, 0.2, 0.25]),
    loss_cls=dict(type='mmdet.FocalLoss', use_sigmoid=True, gamma=2.0, alpha=0.25))
