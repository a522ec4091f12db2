"""One epoch of each kind of mixing, crops and loss among the ablations and options: tiny models and tiny images.

Pipelines and switches are the configs' own. The loss of every step is computed once more from the batch, query by
query, in float64.
"""

import copy

import pytest
import torch
from config_names import CONFIGS, load
from exact_runs import exact_model_cfg, loader_cfg, train_exactly
from mmengine.hooks import Hook
from tiny_clim import nce
from training_runs import BATCH, STEPS, N, hook_cfg, pairs_cfg, write_images

from clim_mm.models.parts.key_queue import NO_KEY

pytestmark = pytest.mark.usefixtures('one_torch_thread')

SIDES = {224: 16, 160: 12, 96: 8}
QUEUE_LEN = 60
SETTINGS_OF_THE_HOOK = ('strategy', 'num_neighbors', 'begin')


def config(change):
    (path, ) = [path for path in CONFIGS if path.stem == '_'.join(filter(None, ['clim_r50_16xb32-200e_in1k', change]))]
    return load(path)


def shrunk(setting):
    """A pipeline with small images: MultiRes' resolutions, wherever they are."""
    if isinstance(setting, dict):
        return {name: tuple(SIDES[side] for side in value) if name == 'resolutions' else shrunk(value)
                for name, value in setting.items()}
    return [shrunk(one) for one in setting] if isinstance(setting, list) else setting


class LossByHand(Hook):
    """Notes each step, and what its loss must be."""

    priority = 'VERY_LOW'

    def __init__(self, sum_pairs):
        self.sum_pairs = sum_pairs
        self.sides, self.lam, self.positives, self.losses, self.by_hand = [], [], [], [], []

    def before_train_iter(self, runner, batch_idx, data_batch=None):  # noqa: D102
        self.query_encoder = copy.deepcopy(runner.model.encoder('query'))
        self.queue = runner.model.queue.keys.clone()
        self.sides.append({name: [x.shape[-1] for x in views] for name, views in data_batch['inputs'].items()})
        self.lam.append([sample.lam for sample in data_batch['data_samples']])
        self.positives.append([sample.positive_idx for sample in data_batch['data_samples']])

    @torch.no_grad()
    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):  # noqa: D102
        views = {name: [((x.flip(1).float() - 128) / 50).double() for x in images]
                 for name, images in data_batch['inputs'].items()}
        q = [self.query_encoder(x)['last'] for x in views['query']]
        # The momentum encoder has moved before it made the keys, and not since.
        anchors, positives = ([runner.model.encoder('momentum')(x)['last'] for x in views[name]]
                              for name in ('anchor_key', 'positive_key'))
        terms = []
        for place, one in enumerate(q):
            share = torch.tensor([lam[place] for lam in self.lam[-1]])
            for anchor, positive in zip(anchors, positives, strict=True):
                terms.append(share * nce(one, anchor, self.queue) + (1 - share) * nce(one, positive, self.queue))
        means = torch.stack(terms).mean(dim=1)
        self.by_hand.append((means.sum() if self.sum_pairs else means.mean()).item())
        self.losses.append(outputs['loss'].item())


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp('data') / 'images'
    write_images(root, N)
    return root


def trained(change, folder, work_dir):
    """A trained runner and what was seen, for a config with this change in its name."""
    cfg = config(change)
    options = {name: cfg.model[name] for name in ('sum_pairs', 'enqueue_positives') if name in cfg.model}
    hook = cfg.default_hooks.neighbors
    settings = {name: hook[name] for name in SETTINGS_OF_THE_HOOK if hook.get(name) is not None}
    pipeline = shrunk(cfg.train_dataloader.dataset.to_dict()['pipeline'])
    witness = LossByHand(options.get('sum_pairs', False))
    runner = train_exactly(
        folder,
        work_dir,
        model=exact_model_cfg(queue_len=QUEUE_LEN, mask_own_keys=False, **options),
        hook=hook_cfg(**settings),
        more_hooks=[witness],
        train_dataloader=loader_cfg(dict(pairs_cfg(folder), pipeline=pipeline), drop_last=True))
    return runner, witness


@pytest.mark.parametrize('change, queries, keys', [
    (None, [16, 12], [16, 12]),
    ('knn-nomix-res224', [16], [16]),
    ('centerwise-mixup-res224-alpha0.2', [16], [16]),
    ('centerwise-cutmix-crops2x224and2x96', [16, 8, 8], [16]),
    ('otherplace', [16, 12], [16, 12]),
    ('batchmix', [16, 12], [16, 12]),
    ('sharedwindow', [16, 12], [16, 12]),
    ('unmixedterm', [16, 12, 16, 12], [16, 12]),
    ('sumpairs', [16, 12], [16, 12]),
    ('enqueuepositives', [16, 12], [16, 12]),
    ('begin10', [16, 12], [16, 12]),
])
def test_it_trains_and_the_loss_is_that_of_its_pairs(change, queries, keys, folder, tmp_path):
    runner, seen = trained(change, folder, tmp_path)
    assert seen.sides == [dict(query=queries, anchor_key=keys, positive_key=keys)] * STEPS
    assert len(seen.losses) == STEPS and seen.losses == pytest.approx(seen.by_hand, rel=1e-9)

    paired = [(lam, positive) for lams, positives in zip(seen.lam, seen.positives, strict=True)
              for lam, positive in zip(lams, positives, strict=True)]
    assert all(len(lam) == len(queries) for lam, _ in paired)
    assert all(lam == [1.0] * len(queries) for lam, positive in paired if positive < 0)
    mixed = [lam for lam, positive in paired if positive >= 0]
    assert not mixed if change == 'begin10' else len(mixed) > N / 2
    if change == 'knn-nomix-res224':
        assert mixed == [[0.0]] * N
    elif change == 'unmixedterm':
        assert all(lam[2:] == [1.0, 1.0] and lam[:2] != [1.0, 1.0] for lam in mixed)
    elif change == 'batchmix':
        drawn = [{tuple(lam) for lam, positive in zip(lams, positives, strict=True) if positive >= 0}
                 for lams, positives in zip(seen.lam, seen.positives, strict=True)]
        assert [len(of_batch) for of_batch in drawn] == [1] * STEPS and len(set.union(*drawn)) == STEPS
    elif mixed:
        assert len({tuple(lam) for lam in mixed}) > len(mixed) / 2, 'each sample has draws of its own'

    entered = STEPS * BATCH * (2 if change == 'enqueuepositives' else 1)
    assert runner.model.queue.pointer.tolist() == [entered]
    ids = runner.model.queue.ids.tolist()
    assert ids[entered:] == [NO_KEY] * (QUEUE_LEN - entered) and set(ids[:entered]) == set(range(N))
