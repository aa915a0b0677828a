# Shows what generated clouds add to the real tiles, in as many iterations as either alone. Four tiles, each twice,
# against eight clouds: half of the crops come from each side.
_base_ = './sparse_unet_aerial_to_ign_real.py'
train_dataloader = dict(dataset=dict(
    datasets=[dict(type='RepeatDataset', times=2, dataset={{_base_.real}}), {{_base_.synthetic}}]))
