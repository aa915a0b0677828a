# Shows self-training in rounds from ten labelled scene images: train, label the others, train anew on both. About a
# minute per round on a CPU. The images that are labelled here are found among those of the folder and left out.
#   imbdense self-train semi_supervised/unet_scenes_self_training --unlabeled data/scenes/images/train --rounds 2 \
#     --rule class-balanced --mine-rare --work-dir work_dirs/self_training
# `imbdense train` of this file is round 0. Each round leaves its own whole config in the work dir.
_base_ = [
    '../_base_/models/unet_small.py', '../_base_/datasets/scenes.py',
    '../_base_/schedules/adamw_200.py', '../_base_/runtime/segmentation.py'
]
train_dataloader = dict(batch_size=8, dataset=dict(indices=10))
