# Shows the choice among images of which nothing is known, no label and no detector: whole images, each scene by itself
# (--group of `imbdense select pool --source image`), from the dense centre of each cluster to its border.
selector = dict(type='imbdense.BinnedClusterSelector', level='image', per_group=True)
