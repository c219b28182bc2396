# deeplabv3_infopro_cityscapes.py trained asynchronously: first local module 0 alone, then module 1 on its frozen
# outputs, each for the 40k iterations of the paper's schedule. The last stage ends with the whole network.
_base_ = './deeplabv3_infopro_cityscapes.py'
stages = [dict(), dict()]  # per local module, what is different for it: dict(train_cfg=dict(max_iters=20000), ...)
