"""A study whose evaluations are of another task is refused before anything is trained."""


import pytest

from clim_mm.errors import ConfigError, sentence
from clim_mm.study import Row, Study
from clim_mm.study.premises import check_premises

RGB = 'mean=(123.675, 116.28, 103.53), std=(58.395, 57.12, 57.375)'


@pytest.fixture
def root(train_and_val):
    return train_and_val


def study(root, linear=(), held_out='val'):
    data = f"dict(type='mmcls.CustomDataset', data_root={str(root)!r}, data_prefix='train')"
    (root / 'clim.py').write_text(
        f"default_scope = 'clim_mm'\nmodel = dict(data_preprocessor=dict({RGB}, bgr_to_rgb=True))\n"
        f"train_dataloader = dict(dataset=dict(type='NeighborPairs', dataset={data}))\n"
        f"held_out = dict(data_prefix={held_out!r})\n")
    (root / 'linear.py').write_text(
        f"default_scope = 'clim_mm'\nmodel = dict(head=dict(num_classes=2))\n"
        f'data_preprocessor = dict({RGB}, to_rgb=True)\n'
        f"train_dataloader = dict(dataset={data})\nval_dataloader = dict(dataset=dict({data}, data_prefix='val'))\n"
        "val_evaluator = dict(type='mmcls.Accuracy')\n")
    return Study('mine', (Row('a', str(root / 'clim.py'), {}), ), (0, ), 'a', True,
                 (Row('linear', str(root / 'linear.py'), dict(linear)), ), ('x', ), {})


def test_a_sound_study(root):
    check_premises(study(root))


@pytest.mark.parametrize('options, words', [
    (dict(held_out='train'), ['a of the study cannot be measured: 12 of the 12 held-out images']),
    (dict(linear={'data_preprocessor.to_rgb': False}), ['normalised here by BGR', 'a, which linear evaluates, was']),
    (dict(linear={'model.head.num_classes': 5}), ['linear of the study', '5 outputs', '2 classes']),
    (dict(linear={'val_evaluator.topk': [1, 5]}), ['linear of the study', 'best 5 of 2 classes: set val_ev']),
    (dict(linear={'val_dataloader.dataset.data_prefix': 'train'}), ['linear of the study', '12 of the 12 held-out']),
    (dict(linear={'val_dataloader.dataset.classes': ['dog', 'cat']}), ['linear of the study', 'another order']),
])
def test_another_task(root, options, words):
    with pytest.raises(ConfigError) as raised:
        check_premises(study(root, **options))
    text = sentence(raised.value)
    assert all(word in text for word in words), text
