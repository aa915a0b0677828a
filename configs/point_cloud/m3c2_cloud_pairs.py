# Shows change between two point clouds without a network: M3C2 distances and rules. Nothing to train and no checkpoint:
# `imbdense test CONFIG`, `imbdense predict change3d CONFIG A B --out C`.
_base_ = ['../_base_/datasets/cloud_pairs.py', '../_base_/schedules/adamw_400.py', '../_base_/runtime/points.py']
model = dict(
    type='imbdense.M3C2ChangeClassifier',
    distances=dict(cylinder_radius=1.5, max_distance=30.0, registration_error=0.07))
