# Shows selection by objects: no object of the pool stays far from a chosen one. With level='image' it compares images.
selector = dict(type='imbdense.KCenterGreedy', level='object', normalize=True, candidates=4096)
