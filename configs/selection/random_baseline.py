# Shows the baselines: random images, and random images with an equal share for every class (needs the classes only).
# selector = dict(type='imbdense.RandomSelector')
selector = dict(type='imbdense.StratifiedSelector')
