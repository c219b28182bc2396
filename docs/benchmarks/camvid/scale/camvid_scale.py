# The momentum block without its trained copy, alone and with MAN++'s learned scale, on val, beside camvid_trials.
_base_ = '../../../../configs/compare/camvid_trials.py'
custom_imports = dict(imports=['infopro_seg.register', 'scaled_head'], allow_failed_imports=False)


def average(**head):
    """InfoPro whose lean local heads read through an average of the next block."""
    return dict(
        local_head='{{ fileDirname }}/../../../../configs/_base_/local_heads/lean.py',
        momentum_block=0.995,
        config=dict(model=dict(auxiliary_head=None, backbone=dict(local_head=head))))


methods = dict(_delete_=True, average=average(), scaled_average=average(type='ScaledInfoProHead'))
comparison = dict(runs=dict(_delete_=True, average=(4,), scaled_average=(4,)), seeds=(0,))
