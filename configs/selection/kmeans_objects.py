# Shows the centres of clusters of objects: one image for each of as many clusters as there are images to choose.
selector = dict(type='imbdense.KMeansSelector', level='object')
