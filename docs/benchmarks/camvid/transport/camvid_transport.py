# TRGL's transport penalty with K = 4, on val, beside the trials of the suite camvid_trials.
_base_ = '../../../../configs/compare/camvid_trials.py'
custom_imports = dict(imports=['infopro_seg.register', 'transport_penalty'], allow_failed_imports=False)


def penalised(weight):
    """InfoPro with the lean local head and the penalty."""
    return dict(
        local_head='{{ fileDirname }}/../../../../configs/_base_/local_heads/lean.py',
        config=dict(
            model=dict(auxiliary_head=None),
            custom_hooks=[
                dict(type='CheckpointGuardHook', allow_partial=True),
                dict(type='ResultsHook', split='val'),
                dict(type='TransportPenaltyHook', weight=weight),
            ]))


methods = dict(_delete_=True, transport_weak=penalised(0.0001), transport_strong=penalised(0.001))
comparison = dict(runs=dict(_delete_=True, transport_weak=(4,), transport_strong=(4,)), seeds=(0,))
