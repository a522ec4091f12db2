"""The smallest training with everything that a checkpoint keeps, of the checkout whose ``tests`` is on the path.

    PYTHONPATH=CHECKOUT:CHECKOUT/tests python tests/written_run.py tests/recordings/clim_COMMIT

writes ``clim_COMMIT.pth`` after two epochs, and ``clim_COMMIT.json``: the losses of the third, and features.
"""

import json
import shutil
import sys
import tempfile
from pathlib import Path

from colored_images import cut_off
from mmengine.config import Config
from mmengine.hooks import Hook
from training_runs import BATCH, EXTRACT_PIPELINE, N, hook_cfg, model_cfg, pairs_cfg, runner_of, write_images

from clim_mm.datasets import ImageFolder, SingleViews
from clim_mm.evaluation import frozen_features, load_model

DAMAGED = 'class1/05.png'


class Losses(Hook):
    """Keeps the loss of each iteration."""

    def __init__(self):
        self.losses = []

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):  # noqa: D102
        self.losses.append(float(outputs['loss'].detach()))


def images(root):
    """Write the images, one of them damaged."""
    write_images(root, N)
    cut_off(root / DAMAGED)
    return root


def train(root, work_dir, epochs, resume_from=None):
    """Train up to an epoch, and give the runner and the losses of this start."""
    losses = Losses()
    runner = runner_of(
        root, work_dir, epochs, hook_cfg(interval=1, feature_source='bank'), more_hooks=[losses],
        param_scheduler=[dict(type='CosineAnnealingLR', T_max=4, by_epoch=True)],
        default_hooks=dict(
            sampler_seed=dict(type='EpochRandomnessHook'), quarantine=dict(type='QuarantineHook'),
            queue=dict(type='QueueHook'), manifest=dict(type='ManifestHook'),
            checkpoint=dict(type='CheckpointHook', interval=1)),
        train_dataloader=dict(
            batch_size=BATCH, num_workers=0, drop_last=True, sampler=dict(type='DefaultSampler', shuffle=True),
            collate_fn=dict(type='clim_mm.stack_collate'), dataset=dict(pairs_cfg(root), max_unreadable=0.5)),
        load_from=resume_from, resume=resume_from is not None)
    runner.train()
    return runner, losses.losses


def features(root, checkpoint, encoder, layer):
    """(N - 1, d): features of the readable images."""
    cfg = Config(dict(model=model_cfg(), default_scope='clim_mm'))
    model = load_model(cfg, str(checkpoint), [(encoder, layer)])
    (root / DAMAGED).unlink(missing_ok=True)
    views = SingleViews(ImageFolder(str(root)), EXTRACT_PIPELINE)
    return frozen_features(model, views, dict(num_workers=0), encoder=encoder, layer=layer)


def main(prefix):
    with tempfile.TemporaryDirectory() as scratch:
        root = images(Path(scratch, 'images'))
        train(root, Path(scratch, 'run'), 2)
        shutil.copy(Path(scratch, 'run/epoch_2.pth'), f'{prefix}.pth')
        _, losses = train(root, Path(scratch, 'resumed'), 3, f'{prefix}.pth')
        found = {f'{encoder} {layer}': features(root, f'{prefix}.pth', encoder, layer).tolist()
                 for encoder, layer in (('query', 'pooled'), ('momentum', 'embedding'))}
    Path(f'{prefix}.json').write_text(json.dumps(dict(losses=losses, features=found)))


if __name__ == '__main__':
    main(sys.argv[1])
