# Shows the start without any label: typical objects of the largest clusters, for budgets of some tens of images.
selector = dict(type='imbdense.TypiClust', level='object', max_clusters=500)
