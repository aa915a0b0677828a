# Shows the plain baseline on airborne laser scanning: cross-entropy, crops round any point. Two minutes on a CPU.
_base_ = [
    '../_base_/models/sparse_unet.py', '../_base_/datasets/ign_lidar_hd.py', '../_base_/schedules/adamw_200.py',
    '../_base_/runtime/points.py'
]
