# The paper's local head with auxiliary heads that are deeper in early modules (after AugLocal, ICLR 2024).
_base_ = './paper.py'
local_head = dict(auxiliary_head=dict(num_convs=(3, 1)))
