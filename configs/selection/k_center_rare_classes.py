# Shows selection class by class: the rarest class is served first, each class gets its share of the budget.
selector = dict(type='imbdense.KCenterGreedy', level='class_object')
