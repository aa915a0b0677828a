# Shows the plain baseline on blood cells, where platelets and white cells are rare: ATSS, focal loss, CPU minutes.
# The sibling changes the loss only. On the command line, for example:
#   --cfg-options train_dataloader.sampler.type=imbdense.RepeatFactorSampler train_dataloader.sampler.infinite=True
_base_ = [
    '../_base_/models/atss_mobilenetv2.py', '../_base_/datasets/bccd.py',
    '../_base_/schedules/adamw_400.py', '../_base_/runtime/detection.py'
]
model = dict(bbox_head=dict(num_classes=3))
optim_wrapper = dict(optimizer=dict(lr=2e-3))
