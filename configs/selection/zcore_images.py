# Shows scores instead of distances: images that cover random views of the features and are not redundant.
selector = dict(type='imbdense.ZCore', level='image')
