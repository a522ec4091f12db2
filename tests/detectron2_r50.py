"""The names and shapes of detectron2's ResNet-50, as its checkpointer logs them.

When detectron2 loads its published ``detectron2://ImageNetPretrained/MSRA/R-50.pkl`` it logs what each tensor of the
model is loaded from, and its shape. Logs of users are in facebookresearch/detectron2's issues 1134, 1698, 2080, 2894,
4502 and 5412, as tables such as

    | Names in Model    | Names in Checkpoint      | Shapes                                          |
    | res2.0.conv1.*    | res2_0_branch2a_{bn_*,w} | (64,) (64,) (64,) (64,) (64,64,1,1)             |

where the star stands for ``norm.bias``, ``norm.running_mean``, ``norm.running_var``, ``norm.weight`` and ``weight``.
Below are the first and the last columns, of the last column the shape of the convolution.
"""

_TABLE = """
stem.conv1 64,3,7,7
res2.0.conv1 64,64,1,1
res2.0.conv2 64,64,3,3
res2.0.conv3 256,64,1,1
res2.0.shortcut 256,64,1,1
res2.1.conv1 64,256,1,1
res2.1.conv2 64,64,3,3
res2.1.conv3 256,64,1,1
res2.2.conv1 64,256,1,1
res2.2.conv2 64,64,3,3
res2.2.conv3 256,64,1,1
res3.0.conv1 128,256,1,1
res3.0.conv2 128,128,3,3
res3.0.conv3 512,128,1,1
res3.0.shortcut 512,256,1,1
res3.1.conv1 128,512,1,1
res3.1.conv2 128,128,3,3
res3.1.conv3 512,128,1,1
res3.2.conv1 128,512,1,1
res3.2.conv2 128,128,3,3
res3.2.conv3 512,128,1,1
res3.3.conv1 128,512,1,1
res3.3.conv2 128,128,3,3
res3.3.conv3 512,128,1,1
res4.0.conv1 256,512,1,1
res4.0.conv2 256,256,3,3
res4.0.conv3 1024,256,1,1
res4.0.shortcut 1024,512,1,1
res4.1.conv1 256,1024,1,1
res4.1.conv2 256,256,3,3
res4.1.conv3 1024,256,1,1
res4.2.conv1 256,1024,1,1
res4.2.conv2 256,256,3,3
res4.2.conv3 1024,256,1,1
res4.3.conv1 256,1024,1,1
res4.3.conv2 256,256,3,3
res4.3.conv3 1024,256,1,1
res4.4.conv1 256,1024,1,1
res4.4.conv2 256,256,3,3
res4.4.conv3 1024,256,1,1
res4.5.conv1 256,1024,1,1
res4.5.conv2 256,256,3,3
res4.5.conv3 1024,256,1,1
res5.0.conv1 512,1024,1,1
res5.0.conv2 512,512,3,3
res5.0.conv3 2048,512,1,1
res5.0.shortcut 2048,1024,1,1
res5.1.conv1 512,2048,1,1
res5.1.conv2 512,512,3,3
res5.1.conv3 2048,512,1,1
res5.2.conv1 512,2048,1,1
res5.2.conv2 512,512,3,3
res5.2.conv3 2048,512,1,1
"""


def published_shapes():
    """The shapes of the 265 tensors, by name."""
    shapes = {}
    for line in _TABLE.split('\n')[1:-1]:
        name, _, shape = line.partition(' ')
        shapes[f'{name}.weight'] = tuple(map(int, shape.split(',')))
        for leaf in ('bias', 'running_mean', 'running_var', 'weight'):
            shapes[f'{name}.norm.{leaf}'] = shapes[f'{name}.weight'][:1]
    return shapes


def detectron2_resnet50(tensors, x):
    """What detectron2's ResNet-50 with ``STRIDE_IN_1X1: False`` gives for tensors by its names, written down anew."""
    import torch.nn.functional as F

    def convolve(name, x, stride=1):
        weight = tensors[f'{name}.weight']
        x = F.conv2d(x, weight, stride=stride, padding=weight.shape[-1] // 2)
        norm = {leaf: tensors[f'{name}.norm.{leaf}'] for leaf in ('running_mean', 'running_var', 'weight', 'bias')}
        return F.batch_norm(x, **norm, eps=1e-5)

    x = F.max_pool2d(F.relu(convolve('stem.conv1', x, stride=2)), 3, 2, 1)
    for stage, blocks in ((2, 3), (3, 4), (4, 6), (5, 3)):
        for block in range(blocks):
            name, stride = f'res{stage}.{block}', 2 if stage > 2 and block == 0 else 1
            shortcut = convolve(f'{name}.shortcut', x, stride) if block == 0 else x
            y = F.relu(convolve(f'{name}.conv1', x))
            y = F.relu(convolve(f'{name}.conv2', y, stride))
            x = F.relu(convolve(f'{name}.conv3', y) + shortcut)
    return x
