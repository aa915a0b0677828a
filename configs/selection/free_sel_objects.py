# Shows FreeSel: images that own patterns far from those of all chosen images, drawn by squared distance.
selector = dict(type='imbdense.FreeSel', level='object', patterns=5, rule='prob')
