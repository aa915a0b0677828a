"""How many samples each detection head of a model learns each class from, on annotations alone.

* :mod:`~.images`      - boxes and image sizes as the training pipeline leaves them, without decoding an image;
* :mod:`~.class_layers` - where in a model the class logits are made;
* :mod:`~.anchors`, :mod:`~.points`, :mod:`~.grids`, :mod:`~.proposals`, :mod:`~.queries` - the assignment of each kind
  of head;
* :mod:`~.measure`     - all of it over a data set: several ranks, a cache, a subset of the images.
"""
