# InfoPro (contrast): all images of the batch are contrasted by their classes.
_base_ = './softmax.py'
local_head = dict(auxiliary_head=dict(loss='contrast', out_channels=128, temperature=0.07))
