# Shows object-focused selection: rarest class first, an image for every cluster of objects that nothing labelled shows.
selector = dict(
    type='imbdense.OFDS',
    score_thr=0.3,
    adaptive_tau=True,
    verify=dict(type='imbdense.KNNVerifier', k=10),
    kmeans=dict(max_iter=25),
    order='rarest_first',
    cost=None,
    max_repeat=4)
