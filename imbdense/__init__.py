"""imbdense: make the rare class count in dense prediction.

Importing the package is cheap and pulls in no host library; mmengine finds the components on demand through
:mod:`imbdense.registry` the first time a config names ``type='imbdense.X'``.

* :mod:`imbdense.core` - pure functions and classes on torch, numpy and scipy;
* :mod:`imbdense.nn`   - plain ``nn.Module`` building blocks;
* :mod:`imbdense.mm`   - thin adapters for mmengine, mmseg and mmdet;
* :mod:`imbdense.data` - readers, scanners and the scene generator;
* :mod:`imbdense.cli`  - the ``imbdense`` command.
"""

__version__ = '0.1.0'
