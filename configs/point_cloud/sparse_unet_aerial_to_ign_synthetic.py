# Shows what generated laser clouds alone teach about airborne laser scanning: no real label is used in training.
_base_ = './sparse_unet_aerial_to_ign_real.py'
train_dataloader = dict(dataset=dict(datasets=[{{_base_.synthetic}}]))
