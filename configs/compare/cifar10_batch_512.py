# The suite cifar10 with batches of 512, and nothing else changed: the contrastive task compares the images of a batch.
_base_ = './cifar10.py'
train_dataloader = dict(batch_size=512)
