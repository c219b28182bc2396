# Trials on CamVid's val: what makes InfoPro with K = 4 and 8 as good as end to end? Each is a method of its own.
#   python tools/compare.py --suite camvid_trials --out work_dirs/compare_camvid_trials --seeds 0 --methods NAME
# results.json and table.md of docs/benchmarks/camvid/trials hold the trials that were made, also those that did not
# help. overlap=1 and no decoder stand in long/, where they were tested; the other methods here were not trained.
# Twice the iterations of the suite camvid: after its 600, InfoPro is level with end to end.
_base_ = './camvid_long.py'
custom_hooks = [dict(type='CheckpointGuardHook', allow_partial=True), dict(type='ResultsHook', split='val')]


def trial(recon=1.5, task=1.0, stride=8, auxiliary=None, losses=None, backbone=None, **config):
    """InfoPro with the lean local head; several weights run linearly, from the first head to the last."""
    head = dict(
        stride=stride,
        decoder=dict(loss_recon=dict(loss_weight=recon)),
        auxiliary_head=dict(loss_decode=dict(loss_weight=task, **(losses or {})), **(auxiliary or {})))
    model = dict(auxiliary_head=None, backbone=dict(local_head=head, **(backbone or {})))
    return dict(
        local_head='{{ fileDirname }}/../_base_/local_heads/lean.py', config=dict(model=model, **config))


def rates(local_heads=3.0, **others):
    """Learning rates of local heads and others; the auxiliary heads in them would go by their own key."""
    keys = {'decode_head': 3.0, 'backbone.local_heads': local_heads, **others}
    return dict(paramwise_cfg=dict(custom_keys={key: dict(lr_mult=rate) for key, rate in keys.items()}))


methods = dict(
    # the paper's weights: reconstruction falls with depth, the task rises
    recon_5_to_05_task_01_to_1=trial(recon=(5.0, 0.5), task=(0.1, 1.0)),
    # the same ends, but both weights change by a factor from head to head
    recon_5_to_05_task_01_to_1_geometric=trial(recon=(5.0, 1.58, 0.5), task=(0.1, 0.316, 1.0)),
    recon_5_to_05=trial(recon=(5.0, 0.5)),
    recon_15_to_0=trial(recon=(1.5, 0.0)),
    recon_05=trial(recon=0.5),
    recon_5=trial(recon=5.0),
    task_01_to_1=trial(task=(0.1, 1.0)),
    task_1_to_04=trial(task=(1.0, 0.4)),
    task_04=trial(task=0.4),
    task_2=trial(task=2.0),
    # the auxiliary head
    auxiliary_256=trial(auxiliary=dict(channels=256)),
    auxiliary_64=trial(auxiliary=dict(channels=64)),
    auxiliary_stride_4=trial(stride=4),
    auxiliary_two_convs=trial(auxiliary=dict(num_convs=2)),
    # learning rates: local heads as slow as the pretrained blocks, or faster than the decode head
    local_heads_lr_1=trial(optim_wrapper=rates(1.0)),
    local_heads_lr_10=trial(optim_wrapper=rates(10.0)),
    # the encoder slower or faster: each module follows its own loss, not the network's
    encoder_lr_05=trial(optim_wrapper=rates(encoder=0.5)),
    encoder_lr_2=trial(optim_wrapper=rates(encoder=2.0)),
    # local heads that weigh all pixels alike
    local_unweighted=trial(losses=dict(class_weight=None)),
    # local heads that read through two blocks of the next module; infopro_overlap reads through one
    overlap_2=trial(backbone=dict(overlap=2)),
    # a first module that ends later (K = 4 only); the peak of memory rises from 0.36 to 0.53 of E2E's
    later_first_cut=trial(
        backbone=dict(
            cuts=('timm_model.blocks.2.0', 'timm_model.blocks.3.2', 'timm_model.blocks.4.2'))),
    # as many blocks in each module (K = 4 only)
    even_cuts=trial(
        backbone=dict(
            cuts=('timm_model.blocks.1.1', 'timm_model.blocks.3.1', 'timm_model.blocks.4.2'))))

comparison = dict(
    runs=dict(
        _delete_=True,
        e2e=(1,),
        infopro=(4, 8),
        infopro_no_decoder=(4, 8),
        recon_5_to_05_task_01_to_1=(4, 8),
        task_01_to_1=(4,),
        recon_15_to_0=(4,),
        task_04=(4,),
        local_heads_lr_1=(4,),
        infopro_overlap=(4,),
        infopro_momentum=(4,),
        infopro_deeper_early=(4,)),
    seeds=(0,))
