"""Importing this module registers what configs of classifiers name; they list it in `custom_imports`."""

from __future__ import annotations

from infopro_seg.models.encoder import import_package

for _module in ('mmpretrain.models', 'mmpretrain.datasets', 'mmpretrain.evaluation'):
    import_package(_module, 'a classifier')

import infopro_seg.classification.cifar_resnet  # noqa: E402
import infopro_seg.classification.classifier  # noqa: E402
import infopro_seg.classification.encoded_images  # noqa: E402
import infopro_seg.classification.head  # noqa: E402
import infopro_seg.classification.image_decoder  # noqa: E402, F401
