"""One parser of config names: what a name says of its config, and the same read off the parts built from it."""

import copy
import re
from functools import cache
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.registry import init_default_scope

from clim_mm.registry import HOOKS, TRANSFORMS

ROOT = Path(__file__).parents[1]
# Of pretraining.
CONFIGS = sorted(path for path in (ROOT / 'configs').rglob('*.py')
                 if not {'_base_', 'benchmarks', 'studies'} & set(path.parts))
NAMES = [path.stem for path in CONFIGS]
# By the first word of a name: the model, its samples, the transform that packs them, and the hooks that it needs.
METHODS = dict(
    clim=('CLIM', 'NeighborPairs', 'PackPair', {'queue', 'neighbors'}),
    hsa=('HSA', 'NeighborPairs', 'PackPair', {'queue', 'neighbors'}),
    mocov2=('MoCo', 'ImageSamples', 'PackSelfSupInputs', set()),
    small_mocov2=('CLIM', 'ImageSamples', 'PackSelfSupInputs', {'queue'}),  # for its groups of batch statistics
    byol=('BYOL', 'ImageSamples', 'PackSelfSupInputs', {'optimizer_step'}),
    c2bin=('C2BIN', 'ImageSamples', 'PackSelfSupInputs', {'optimizer_step'}))
NAME = re.compile(r'(?P<model>clim|hsa|mocov2|byol|c2bin)_r(?P<depth>\d+)_(?P<processes>\d+)xb(?P<batch>\d+)-'
                  r'(?P<epochs>\d+)e_(?P<data>in1k|digits|textures|cifar100|cifar10|stl10)(_(?P<changes>[^_]+))?')
FORM = 'MODEL_rDEPTH_PROCESSESxbBATCH-EPOCHSe_DATA[_CHANGE-CHANGE]'

# What CLIM's configs say where their name says nothing. Views are (side, smallest and largest share of the area).
_CLIM = dict(
    strategy='center_wise', num_clusters=None, num_neighbors=None, interval=5, begin=0, encoder='momentum',
    layer='embedding', feature_source='extract', mixing='CutMix', alpha=2.0, same_place=True, per_batch=False,
    unmixed_term=False, sum_pairs=False, enqueue_positives=False, on_device=False,
    shared_window=False)
_VIEWS = dict(
    in1k=[(224, 0.2, 1.0), (160, 0.2, 1.0)], digits=[(16, 0.4, 1.0), (12, 0.4, 1.0)],
    textures=[(32, 0.4, 1.0), (24, 0.4, 1.0)],
    cifar10=[(32, 0.08, 1.0)], cifar100=[(32, 0.08, 1.0)])
_SMALL_CROPS = dict(in1k=(0.05, 0.14), digits=(0.15, 0.4), textures=(0.15, 0.4))
_WORDS: dict[str, dict] = dict(
    centerwise=dict(strategy='center_wise'),
    knn=dict(strategy='knn', num_neighbors=10),
    kmeans=dict(strategy='kmeans'),
    knnkmeans=dict(strategy='knn_kmeans'),
    random=dict(strategy='random'),
    cutmix=dict(mixing='CutMix', alpha=2.0),
    mixup=dict(mixing='MixUp', alpha=0.2, same_place=None),
    nomix=dict(mixing=None, alpha=None, same_place=None, per_batch=None, unmixed_term=None),
    otherplace=dict(same_place=False),
    batchmix=dict(per_batch=True),
    unmixedterm=dict(unmixed_term=True),
    sharedwindow=dict(shared_window=True),
    sumpairs=dict(sum_pairs=True),
    enqueuepositives=dict(enqueue_positives=True),
    queryencoder=dict(encoder='query'),
    pooled=dict(layer='pooled'),
    device=dict(on_device=True),
    bank=dict(feature_source='bank'))


_read = cache(Config.fromfile)


def load(path: Path) -> Config:
    """The config in a file, which is read once."""
    return copy.deepcopy(_read(path))


def method_of(path: Path) -> tuple:
    """The row of ``METHODS`` for a config by its name."""
    parsed = NAME.fullmatch(path.stem)
    assert parsed, f'{path.stem} is not {FORM}'
    is_small = parsed['model'] == 'mocov2' and parsed['data'] != 'in1k'
    return METHODS['small_mocov2' if is_small else parsed['model']]


def said_by(name: str) -> dict[str, Any]:
    """The choices that a CLIM config's name tells, and the defaults where it is silent."""
    parsed = NAME.fullmatch(name)
    assert parsed, f'{name} is not {FORM}'
    said = dict(_CLIM, queries=_VIEWS[parsed['data']], keys=_VIEWS[parsed['data']])
    for word in filter(None, (parsed['changes'] or '').split('-')):
        said.update(_WORDS[word] if word in _WORDS else _change(word, parsed['data']))
    return said


def _change(word: str, data: str) -> dict:
    """What a word with a number in it says."""
    if found := re.fullmatch(r'(m|k|begin)(\d+)', word):
        return {dict(m='num_clusters', k='num_neighbors', begin='begin')[found[1]]: int(found[2])}
    if found := re.fullmatch(r'alpha(\d+\.\d+)', word):
        return dict(alpha=float(found[1]))
    _, *large = _VIEWS[data][0]
    if found := re.fullmatch(r'res(\d+(?:and\d+)*)', word):
        views = [(int(side), *large) for side in found[1].split('and')]
        return dict(queries=views, keys=views)
    found = re.fullmatch(r'crops(\d+)x(\d+)and(\d+)x(\d+)', word)
    assert found, f'no rule for {word!r}'
    num_large, large_side, num_small, small_side = map(int, found.groups())
    keys = [(large_side, *large)]
    small = (small_side, *_SMALL_CROPS[data])
    return dict(keys=keys, queries=keys * (num_large - 1) + [small] * num_small)  # one large is the key


def done_by(cfg: Config) -> dict[str, Any]:
    """The same choices, read off the transforms and the hook that are built from a CLIM config."""
    init_default_scope('clim_mm')
    views, *mixing, _ = [TRANSFORMS.build(transform) for transform in cfg.train_dataloader.dataset.pipeline]
    hook = HOOKS.build(cfg.default_hooks.neighbors)
    done = {name: getattr(hook, name) for name in (
        'strategy', 'num_clusters', 'num_neighbors', 'interval', 'begin', 'encoder', 'layer', 'feature_source')}
    done.update(mixing=type(mixing[0]).__name__ if mixing else None, queries=_views(views.view), keys=_views(
        views.key_view))
    done['shared_window'] = views.shared_window
    for name in ('alpha', 'same_place', 'per_batch', 'unmixed_term'):
        done[name] = getattr(mixing[0], name, None) if mixing else None
    for name in ('sum_pairs', 'enqueue_positives'):
        done[name] = cfg.model.get(name, False)
    (done['on_device'], ) = {crop.on_device for view in (views.view, views.key_view) for crop in _crops(view)}
    return done


def _views(drawn: Any) -> list[tuple]:
    """Side and scale of each image of a view."""
    return [(side, *crop.scale) for crop in _crops(drawn) for side in crop.resolutions]


def _crops(drawn: Any) -> list:
    """The MultiRes of a view, or those of its MultiView."""
    (view, ) = drawn.transforms
    return [view] if hasattr(view, 'resolutions') else [pipeline.transforms[0] for pipeline in view.transforms]
