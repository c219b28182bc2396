# DGL with the decoder of InfoPro: the auxiliary head "2c2f", and weights of 1.
_base_ = './softmax.py'
local_head = dict(auxiliary_head=dict(num_convs=2))
