# What classifiers need beside the runtime of segmentors: mmpretrain, and top-1 accuracy as the measure.
_base_ = '../runtime.py'
custom_imports = dict(
    imports=['infopro_seg.register', 'infopro_seg.classification.register'], allow_failed_imports=False)
default_hooks = dict(logger=dict(interval=49), checkpoint=dict(interval=490, save_best='accuracy/top1'))
visualizer = dict(type='Visualizer')
