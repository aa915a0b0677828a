# Shows selection of tiles by clusters: every scene by itself, equally many of each class, from the dense centre of each
# cluster to its border. For features of `autoencoder_scenes.py`, or of any backbone.
selector = dict(
    type='imbdense.BinnedClusterSelector', num_bins=5, k_rule='sqrt', pca_dim=256, per_group=True,
    allocation='exact', alpha=0.5, class_balance='equal', distance_space='cluster')
