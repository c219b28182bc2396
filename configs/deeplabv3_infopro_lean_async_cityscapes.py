# deeplabv3_infopro_lean_cityscapes.py (K = 4) trained asynchronously: one local module after the other, each for 40k
# iterations. On CamVid this was the way to train K = 4 that came nearest to end-to-end training (docs/results.md);
# its result on Cityscapes is not known to us.
_base_ = './deeplabv3_infopro_lean_cityscapes.py'
model = dict(backbone=dict(num_modules=None, cuts=('layer3.2', 'layer3.12', 'layer3.22')))  # balanced by memory
stages = [dict(), dict(), dict(), dict()]  # one for each local module: the settings that differ for it
