"""What a training imports, and that what it leaves out is there for whoever uses it."""

import sys

import pytest
from trained import IN1K, SMALL

pytestmark = pytest.mark.e2e

# scikit-learn brings scipy, transformers much else. What torch itself imports when an optimizer is made stays: sympy,
# and torch._dynamo with triton where that is installed.
UNUSED = ['matplotlib', 'mmdet', 'pandas', 'pycocotools', 'scipy', 'skimage', 'sklearn', 'timm', 'transformers']
# Trains, then uses all that was left out: the optimizer, ODC's memory, the figure, and the framework's module itself.
PROGRAM = f'''
import runpy, sys
sys.path[0] = 'tools'
runpy.run_path('tools/train.py', run_name='__main__')
print('IMPORTED', *sorted(set({UNUSED!r}) & set(sys.modules)), flush=True)

import numpy as np
import torch
from mmengine.registry import MODELS, OPTIMIZERS
from mmengine.visualization import Visualizer
weight = torch.nn.Parameter(torch.ones(2))
optimizer = OPTIMIZERS.build(dict(type='Adafactor', params=[weight], lr=0.01, relative_step=False))
weight.square().sum().backward()
optimizer.step()
print('ADAFACTOR', type(optimizer).__module__, bool((weight < 1).all()))
memory = MODELS.build(dict(
    type='mmselfsup.ODCMemory', length=4, feat_dim=2, momentum=0.5, num_classes=2, min_cluster=1))
print('KMEANS', type(memory.kmeans).__module__, sorted(memory.kmeans.fit_predict(np.eye(2)).tolist()))
visualizer = Visualizer.get_current_instance()
visualizer.set_image(np.zeros((8, 8, 3), np.uint8))
print('FIGURE', visualizer.get_image().shape)
'''


def test_a_training_imports_what_it_uses(shell, imagenet_like, tmp_path):
    result = shell(sys.executable, '-c', PROGRAM, IN1K, '--work-dir', tmp_path, '--cfg-options', *SMALL,
                   'train_cfg.max_epochs=1', f'train_dataloader.dataset.dataset.data_root={imagenet_like}')
    assert result.returncode == 0, result.stdout[-3000:]
    assert (tmp_path / 'epoch_1.pth').exists()
    told = dict(line.partition(' ')[::2] for line in result.stdout.splitlines() if line.split(' ')[0].isupper())
    assert told['IMPORTED'] == ''
    assert told['ADAFACTOR'] == 'transformers.optimization True'
    assert told['KMEANS'] == 'sklearn.cluster._kmeans [0, 1]'
    assert told['FIGURE'] == '(8, 8, 3)'
