"""Configs with one setting that is missing, misspelt, of the wrong type or out of range."""

import copy
import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Union

from malformed import Case
from mmengine.config import Config
from small_training import CONFIG, Training

NAN, INF = math.nan, math.inf
PAIRS, HOOK, SOURCE = 'train_dataloader.dataset', 'default_hooks.neighbors', 'train_dataloader.dataset.dataset'
VIEW, BLUR = f'{PAIRS}.pipeline.0.view.0', f'{PAIRS}.pipeline.0.view.0.transforms.1'


def whole(least: int, *more: Any, optional: bool = False) -> list:
    """What is no whole number from ``least`` on, and ``more``."""
    return [str(least), [least], least + 0.5, True, NAN, INF, least - 1, *more, *([] if optional else [None])]


def number(*out_of_range: Any, optional: bool = False) -> list:
    """What is no number at all, and numbers that are out of range."""
    return ['0.1', [0.1], True, NAN, INF, *out_of_range, *([] if optional else [None])]


def switch(optional: bool = False) -> list:
    """What is neither true nor false."""
    return ['no', 0, 1.0, [], *([] if optional else [None])]


WORD = ['nothing', '', 3, None, []]
PIPELINE = [None, [], {}, 'LoadImage', [3], [{}], [dict(type='NoSuchTransform')]]
PART = [3, 'text', [], dict(type='NoSuchPart'), dict(type=3), {}]
RANGE = ['0.2', 0.5, (0.5, 0.2), (0.5, ), (0.1, 0.2, 0.3), ('a', 'b'), (NAN, 1.0), (0, 1), (-1, 1), None]

# Each option, and values that it cannot have.
OPTIONS: dict[str, list] = {
    # CenterWiseNeighborHook
    HOOK: [*PART, None],
    f'{HOOK}.type': WORD,
    'extract': [value for value in PART if value != {}],
    'extract.pipeline': PIPELINE,
    'extract.batch_size': whole(1),
    'extract.num_workers': whole(0, 10**6),
    'extract.amp': switch(),
    'extract.channels_last': switch(),
    f'{HOOK}.interval': whole(1),
    f'{HOOK}.begin': whole(0),
    f'{HOOK}.num_clusters': whole(1, 101, 10**9, optional=True),
    f'{HOOK}.num_neighbors': whole(1, 100, 10**9, optional=True),
    f'{HOOK}.strategy': WORD,
    f'{HOOK}.exact': switch(optional=True),
    f'{HOOK}.nprobe': whole(1),
    f'{HOOK}.whiten': number(0, optional=True),
    f'{HOOK}.surest': number(0, 1.01),
    f'{HOOK}.encoder': WORD,
    f'{HOOK}.layer': WORD,
    f'{HOOK}.compare': ['nothing', 3, None, True, [3], ['knn', 'nothing']],
    # NeighborPairs and its source
    PAIRS: [*PART, None],
    f'{PAIRS}.type': WORD,
    f'{PAIRS}.dataset': [*PART, None],
    f'{PAIRS}.pipeline': [*PIPELINE, [dict(type='CutMix')]],
    f'{PAIRS}.num_positives': whole(1, 10**12, optional=True),
    f'{PAIRS}.max_unreadable': number(-0.01, 1, 1.5),
    f'{SOURCE}.type': WORD,
    f'{SOURCE}.data_root': ['/no/such/folder', '\0', 3, [], {}, True, '/dev/null'],
    f'{SOURCE}.data_prefix': ['no_such_folder', 3, [], True, dict(img_path='no_such_folder'), dict(img_path=3)],
    f'{SOURCE}.ann_file': ['no_such_list.txt', 3, [], True],
    # The transforms
    f'{PAIRS}.pipeline.0.load': PIPELINE,
    f'{PAIRS}.pipeline.0.view': PIPELINE,
    f'{PAIRS}.pipeline.0.key_view': [value for value in PIPELINE if value is not None],
    f'{PAIRS}.pipeline.0.shared_window': switch(),
    f'{PAIRS}.pipeline.0.load.0.min_side': whole(1),
    f'{VIEW}.resolutions': ['8', 8.5, True, NAN, 7, 4096, None, {}, (16, 16), (16, '12'), (16, 12.0), (16, 4), ()],
    f'{VIEW}.transforms': [3, 'text', [3], [{}], [dict(type='NoSuchTransform')]],
    f'{VIEW}.scale': [*RANGE, (0.5, 2.0)],
    f'{VIEW}.ratio': RANGE,
    f'{VIEW}.max_attempts': ['a', -1, 1.5, NAN, None, []],
    f'{VIEW}.transforms.0.prob': ['a', -1, 2, NAN, None, []],
    f'{VIEW}.transforms.0.transforms.0.brightness': ['a', -1, (0.5, 0.2), {}],
    f'{BLUR}.sigma_max': ['a', None, []],
    f'{BLUR}.prob': ['a', -1, 2, NAN, None, []],
    f'{PAIRS}.pipeline.1.alpha': number(0, -2),
    f'{PAIRS}.pipeline.1.same_place': switch(),
    f'{PAIRS}.pipeline.1.per_batch': switch(),
    f'{PAIRS}.pipeline.1.unmixed_term': switch(),
    # CLIM
    'model': [*PART, None],
    'model.type': WORD,
    'model.backbone': [*PART, None],
    'model.neck': [*PART, None],
    'model.head': [*(value for value in PART if value != []), None],
    'model.queue_len': whole(1, 15, 10**12, optional=True),
    'model.feat_dim': whole(1, 64),
    'model.momentum': number(-0.1, 1, 1.5),
    'model.bn_splits': whole(1, optional=True),
    'model.mask_own_keys': switch(optional=True),
    'model.sum_pairs': switch(),
    'model.enqueue_positives': switch(),
    'model.channels_last': switch(),
    'model.head.temperature': number(0, -0.2),
    'model.backbone.depth': ['18', 19, None, NAN, []],
    'model.backbone.out_indices': [(9, ), 'a', None, 3],
    'model.neck.in_channels': ['128', 64, 0, -1, None, 2.5],
    'model.neck.out_channels': ['128', 64, 0, -1, None, 2.5],
    'model.data_preprocessor': [3, 'text', [3], True, dict(type='NoSuchPart'), dict(type=3)],
    'model.data_preprocessor.mean': ['a', (1, 2), ('a', 'b', 'c'), 3],
    'model.data_preprocessor.std': ['a', (1, 2), (0, 0, 0), (NAN, 1, 1), 3],
    'model.data_preprocessor.bgr_to_rgb': switch(),
    # The other hooks of ours
    'default_hooks.watchdog.interval': whole(1, optional=True),
    'default_hooks.preflight.num_images': whole(1),
    'default_hooks.preflight.seconds': number(-1),
    'default_hooks.preflight.processes': whole(1, optional=True),
    **{f'default_hooks.{name}': PART for name in (
        'watchdog', 'preflight', 'checkpoint_guard', 'sampler_seed', 'queue', 'quarantine', 'manifest')},
    # MMEngine's and torch's
    'train_dataloader': [*PART, None],
    'train_dataloader.batch_size': whole(1, 10**9),
    'train_dataloader.num_workers': whole(0, 10**6),
    'train_dataloader.persistent_workers': switch(),
    'train_dataloader.pin_memory': switch(),
    'train_dataloader.drop_last': switch(),
    'train_dataloader.sampler': [*PART, None, dict(type='InfiniteSampler')],
    'train_dataloader.sampler.type': WORD,
    'train_dataloader.sampler.shuffle': switch(),
    'train_dataloader.collate_fn': [*PART, None],
    'train_dataloader.collate_fn.type': WORD,
    'optim_wrapper': [*PART, None],
    'optim_wrapper.type': WORD,
    'optim_wrapper.accumulative_counts': whole(1),
    'optim_wrapper.clip_grad': [3, 'text', True, [], dict(max_norm='a'), dict(max_norm=-1), dict(maxnorm=1)],
    'optim_wrapper.optimizer': [*PART, None],
    'optim_wrapper.optimizer.type': WORD,
    'optim_wrapper.optimizer.lr': number(0, -0.1, 1e30),
    'optim_wrapper.optimizer.momentum': number(-0.1, 1, 1.5),
    'optim_wrapper.optimizer.weight_decay': number(-0.1),
    'param_scheduler': [3, 'text', [3], True, dict(type='NoSuchPart'), dict(type=3)],
    'param_scheduler.0.type': WORD,
    'param_scheduler.0.eta_min': ['a', [], {}],
    'param_scheduler.0.T_max': ['a', 0, -1, [], 2.5],
    'train_cfg': [*PART, None],
    'train_cfg.type': WORD,
    'train_cfg.max_epochs': whole(1),
    'default_hooks': [3, 'text', [3], True],
    'default_hooks.logger': PART,
    'default_hooks.logger.interval': whole(1),
    'default_hooks.checkpoint': PART,
    'default_hooks.checkpoint.interval': ['1', [1], 1.5, True, NAN, INF, 0, -2, None],
    'default_hooks.checkpoint.max_keep_ckpts': ['2', 2.5, True, NAN, 1, -5, None],
    'default_hooks.checkpoint.by_epoch': [*switch(), False],
    'default_hooks.checkpoint.backend_args': [3, 'text', dict(backend='nothing')],
    'custom_hooks': [3, 'text', [3], True, {}, [], None],
    'log_processor': [value for value in PART if value != {}],
    'log_processor.window_size': whole(1),
    'visualizer': [3, 'text', [3], True, dict(type='NoSuchPart'), dict(type=3)],
    'randomness': [3, 'text', [3], True, None],
    'randomness.seed': whole(0, 2**32, optional=True),
    'randomness.deterministic': switch(),
    'env_cfg': [3, 'text', [3], True, None],
    'env_cfg.cudnn_benchmark': switch(),
    'env_cfg.mp_cfg.mp_start_method': ['nothing', '', 3, []],
    'env_cfg.mp_cfg.opencv_num_threads': ['a', [], 1.5],
    'log_level': ['LOUD', None, [], {}, 1.5],
    'load_from': ['no_such_file.pth', 3, [], True],
    'resume': ['no', 1, [], None],
    'default_scope': ['nothing', 3, [], True],
    'compile': ['yes', 1, [], dict(backends='inductor'), dict(dynamic=False, modee='default')],
    'custom_imports': [3, 'text', dict(imports=['no_such_module']), dict(imports=3), {'import': ['clim_mm']}],
}
# What there is no training without. Where torch or MMEngine would take another value for it silently, it must be said.
REQUIRED = [
    f'{HOOK}', f'{HOOK}.type', 'extract', 'extract.pipeline', PAIRS, f'{PAIRS}.type',
    f'{PAIRS}.dataset', f'{PAIRS}.pipeline', f'{SOURCE}.type', f'{PAIRS}.pipeline.0', f'{PAIRS}.pipeline.0.load',
    f'{PAIRS}.pipeline.0.view', f'{PAIRS}.pipeline.0.load.0', f'{VIEW}', f'{VIEW}.resolutions', f'{PAIRS}.pipeline.2',
    'extract.pipeline.0', 'extract.pipeline.2', 'model', 'model.type', 'model.backbone', 'model.neck',
    'model.head', 'model.backbone.depth', 'model.neck.in_channels', 'train_dataloader', 'train_dataloader.batch_size',
    'train_dataloader.sampler', 'train_dataloader.sampler.type', 'train_dataloader.collate_fn.type', 'optim_wrapper',
    'optim_wrapper.optimizer', 'optim_wrapper.optimizer.type', 'optim_wrapper.optimizer.lr', 'param_scheduler.0.type',
    'train_cfg', 'train_cfg.max_epochs', 'default_hooks.sampler_seed', 'default_hooks.quarantine',
    'default_hooks.watchdog.type', 'default_scope'
]
FILES: dict[str, Union[str, bytes]] = {
    'half a line': 'model = dict(', 'an unknown name': 'model = nothing', 'an unknown base': '_base_ = "nothing.py"',
    'itself as base': '_base_ = "mine.py"', 'a number as base': '_base_ = 3', 'an error': 'raise OSError("no")',
    'no text': bytes(range(256)), 'an unknown package': '_base_ = "no_such_package::nothing.py"',
    'a division by zero': 'max_epochs = 1 / 0',
    'an unknown key of its base': f'_base_ = {str(CONFIG)!r}\nlr = _base_.no_such_key',
    'the same key in two bases': f'_base_ = [{str(CONFIG)!r}, {str(CONFIG)!r}]',
}
COMMANDS = ['nothing', 'model', '=3', 'modell.queue_len=32', 'custom_hooks.7.interval=1', 'custom_hooks.one.interval=1',
            'train_cfg.max_epochs.more=1', 'model.queue_len=(1,2', 'model.queue_len=[1,2))', 'no_such_key=1', 'lr=0.1']


def setting_cases(images: Path) -> Iterator[Case]:
    """One case for each value that an option cannot have, for each misspelt option, and for each that is missing."""
    for option, values in OPTIONS.items():
        for value in values:
            yield _case(images, f'{option} = {value!r}', option, value)
        misspelt = _misspelt(option)
        if misspelt:
            yield _case(images, f'{option} misspelt', misspelt, values[0], says=misspelt.rpartition('.')[2])
    for option in REQUIRED:
        yield _case(images, f'{option} missing', option, _MISSING)


def file_cases(images: Path) -> Iterator[Case]:
    """Config files that cannot be read, and command lines that fit nothing."""
    for name, text in FILES.items():
        yield Case('settings', f'a file with {name}', _starting(images, text), frozenset({'error'}), 'mine.py')
    for option in COMMANDS:
        yield Case('settings', f'--cfg-options {option}', _starting(images, f'_base_ = {str(CONFIG)!r}\n', [option]),
                   frozenset({'error'}), option.partition('=')[0].rpartition('.')[2])


def _starting(images: Path, text: Union[str, bytes], options: Sequence[str] = ()) -> Callable[[Path], Training]:

    def start(folder: Path) -> Training:
        config = folder / 'mine.py'
        config.write_bytes(text if isinstance(text, bytes) else text.encode())
        return Training(images, folder / 'work', options=['train_cfg.max_epochs=1', *options], config=config)

    return start


_MISSING = object()


def _misspelt(option: str) -> str:
    """The option with a letter less, or one more; empty where a name is free or a number."""
    owner, _, name = option.rpartition('.')
    if name.isdecimal() or owner == 'default_hooks':
        return ''
    return f'{owner}.{name[:-2]}{name[-1]}'.lstrip('.') if len(name) > 3 else f'{option}x'


def _case(images: Path, name: str, option: str, value: Any, says: str = '') -> Case:

    def start(folder: Path) -> Training:
        cfg = Config.fromfile(CONFIG).to_dict()
        cfg['train_dataloader']['dataset']['dataset'].update(data_root=str(images.parent), data_prefix=images.name)
        cfg['train_cfg']['max_epochs'] = 1
        changed = _with(cfg, option.split('.'), value)
        path = folder / 'changed.py'
        lines = [f'{name} = {value!r}\n' for name, value in changed.items()]
        path.write_text('nan, inf = float("nan"), float("inf")\n' + ''.join(lines))
        return Training(None, folder / 'work', config=path)

    return Case('settings', name, start, frozenset({'error'}), says)


def _with(value: Any, path: list[str], new: Any) -> Any:
    """A copy of nested settings in which one is another, or is not there."""
    if not path:
        return new
    value = copy.deepcopy(value)
    key: Any = int(path[0]) if isinstance(value, list) else path[0]
    if len(path) > 1:
        inner = value[key] if isinstance(value, list) else value.get(key, {})
        value[key] = _with(inner, path[1:], new)
    elif new is _MISSING:
        del value[key]
    else:
        value[key] = new
    return value
