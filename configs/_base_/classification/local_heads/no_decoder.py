# InfoPro (softmax) without its decoder: what does the reconstruction do?
_base_ = './softmax.py'
local_head = dict(decoder=None)
