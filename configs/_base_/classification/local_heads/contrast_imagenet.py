# The paper's weights: InfoPro (contrast), ResNet-101 on ImageNet, K = 2. The decoder reconstructs at a quarter of the
# resolution: upsampled to 224x224, the 512 channels after layer2 would take 13 GB for 128 images.
_base_ = './contrast.py'
local_head = dict(
    decoder=dict(stride=4, loss_recon=dict(loss_weight=5.0)),
    auxiliary_head=dict(loss_weight=0.75, num_classes=1000, double_below=0, channels=512))
