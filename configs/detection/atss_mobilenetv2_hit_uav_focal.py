# Shows the plain baseline on thermal drone images (small objects, bicycles in few images, few OtherVehicle): ATSS with
# focal loss, CPU minutes. atss_mobilenetv2_hit_uav_rare.py changes two lines of data loading.
_base_ = [
    '../_base_/models/atss_mobilenetv2.py', '../_base_/datasets/hit_uav.py',
    '../_base_/schedules/adamw_400.py', '../_base_/runtime/detection.py'
]
model = dict(bbox_head=dict(num_classes=4))
optim_wrapper = dict(optimizer=dict(lr=2e-3))
