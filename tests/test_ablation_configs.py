"""The paper's ablation rows and the options: each does what its name says, and differs in nothing else."""

import re

import pytest
from config_names import CONFIGS, FORM, NAME, ROOT, done_by, load, said_by

from clim_mm.launch.config_checks import check_config

CLIM = ROOT / 'configs' / 'clim'
CHANGED = [path for path in CONFIGS if path.parent.name in ('ablations', 'options')]
OF_CLIM = [path for path in CONFIGS if path.stem.startswith('clim_')]
MAIN = CLIM / 'clim_r50_16xb32-200e_in1k.py'
# The choices that a name tells are in these; the rest must be the main config's.
KNOBS = ['model.sum_pairs', 'model.enqueue_positives', 'train_cfg.max_epochs', 'default_hooks.neighbors',
         'train_dataloader.dataset.pipeline']


def without_knobs(cfg):
    """What is left of a config that acts: not the names of the pipeline's parts."""
    left = {name: value for name, value in cfg.to_dict().items() if name in (
        'model', 'train_dataloader', 'optim_wrapper', 'param_scheduler', 'train_cfg', 'default_hooks', 'env_cfg',
        'log_processor', 'default_scope', 'custom_imports', 'visualizer', 'extract', 'custom_hooks')}
    for knob in KNOBS:
        *way, last = knob.split('.')
        place = left
        for name in way:
            place = place[name]
        place.pop(last, None)
    return left


def without(setting, names):
    """The settings of a part that have none of these names."""
    return {name: value for name, value in setting.items() if name not in names}


@pytest.mark.parametrize('path', OF_CLIM, ids=lambda path: path.stem)
def test_it_does_what_its_name_says(path):
    assert done_by(load(path)) == said_by(path.stem)


@pytest.mark.parametrize('path', CHANGED, ids=lambda path: path.stem)
def test_it_differs_in_nothing_else(path):
    cfg, main = load(path), load(MAIN)
    assert without_knobs(cfg) == without_knobs(main)
    hook, of_main = cfg.default_hooks.neighbors, main.default_hooks.neighbors
    assert without(hook, said_by(path.stem)) == without(of_main, said_by(path.stem))
    assert cfg.train_cfg.max_epochs == int(NAME.fullmatch(path.stem)['epochs'])
    views, of_main = cfg.train_dataloader.dataset.pipeline[0], main.train_dataloader.dataset.pipeline[0]
    assert views.load == of_main.load
    for view in [*views.view, *views.get('key_view', [])]:
        for crop in [view] if view.type == 'MultiRes' else [crop for (crop, ) in view.transforms]:
            assert without(crop, ['resolutions', 'scale']) == without(of_main.view[0], ['resolutions', 'scale'])
    check_config(cfg)


@pytest.mark.parametrize('path', CHANGED, ids=lambda path: path.stem)
def test_it_is_short(path):
    assert len(path.read_text().splitlines()) <= 10


def test_no_two_configs_are_the_same():
    said = [(NAME.fullmatch(path.stem)['epochs'], sorted(said_by(path.stem).items(), key=str))
            for path in [*CHANGED, *CLIM.glob('clim_*_in1k.py')]]
    assert len({str(row) for row in said}) == len(said)


@pytest.mark.parametrize('name, differs', [
    ('knn-nomix-res224', dict(strategy='knn', num_neighbors=10, mixing=None, alpha=None, same_place=None,
                              per_batch=None, unmixed_term=None)),
    ('centerwise-mixup-res224-alpha0.5', dict(mixing='MixUp', alpha=0.5, same_place=None)),
    ('centerwise-cutmix-crops2x224and2x96', dict(
        queries=[(224, 0.2, 1.0), (96, 0.05, 0.14), (96, 0.05, 0.14)])),
])
def test_the_parser_by_hand(name, differs):
    one = [(224, 0.2, 1.0)]
    expected = dict(
        strategy='center_wise', num_clusters=None, num_neighbors=None, interval=5, begin=0, encoder='momentum',
        layer='embedding', feature_source='extract', mixing='CutMix', alpha=2.0, same_place=True, per_batch=False,
        unmixed_term=False, sum_pairs=False, enqueue_positives=False, on_device=False, shared_window=False, queries=one,
        keys=one)
    assert said_by(f'clim_r50_16xb32-200e_in1k_{name}') == dict(expected, **differs)


@pytest.mark.parametrize('name', ['clim_r50_200e_in1k', 'clim_r50_16xb32-200e_in1k_', 'clim_r50_16xb32-200e_in1k_a_b'])
def test_names_of_another_form_are_noticed(name):
    with pytest.raises(AssertionError, match=re.escape(FORM)):
        said_by(name)


@pytest.mark.parametrize('word', ['res', 'alpha2', 'alpha', 'm10k', 'crops2x224', 'nothing'])
def test_words_without_a_rule_are_noticed(word):
    with pytest.raises(AssertionError, match=f'no rule for {word!r}'):
        said_by(f'clim_r50_16xb32-200e_in1k_knn-{word}')


@pytest.mark.parametrize('folder', ['ablations', 'options'])
def test_the_readme_lists_them_all(folder):
    text = (CLIM / folder / 'README.md').read_text()
    linked = {(CLIM / folder / target).resolve() for target in re.findall(r'\]\(([^)]+\.py)\)', text)}
    assert all(path.is_file() for path in linked)
    assert {path for path in CHANGED if path.parent.name == folder} <= linked
    for label, target in re.findall(r'\[([^\]]+)\]\(([^)]+\.py)\)', text):
        assert target.endswith(f'{label}.py'), 'a link shows the end of the name that it leads to'
