# The backbone of unet_small.py, to be pre-trained on images without labels; the experiment says by which task.
norm_cfg = dict(type='BN', requires_grad=True)
model = dict(
    type='imbdense.SSPPretrainer',
    data_preprocessor=dict(
        type='SegDataPreProcessor',
        mean=[127.5] * 3,
        std=[127.5] * 3,
        bgr_to_rgb=True,
        pad_val=0,
        seg_pad_val=255,
        size=(48, 48)),
    backbone=dict(
        type='UNet',
        base_channels=16,
        num_stages=4,
        strides=(1, 1, 1, 1),
        enc_num_convs=(2, 2, 2, 2),
        dec_num_convs=(2, 2, 2),
        downsamples=(True, True, True),
        enc_dilations=(1, 1, 1, 1),
        dec_dilations=(1, 1, 1),
        norm_cfg=norm_cfg),
    in_channels=16,  # the last map, behind the decoder: then all of the U-Net learns
    in_index=-1)
