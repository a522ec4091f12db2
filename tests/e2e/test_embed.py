"""``clim-mm embed`` and ``duplicates`` as a user runs them."""

import shutil

import numpy as np
import pytest
from forked import ROOT
from headless import screenshot, visit
from mmengine.config import Config
from PIL import Image

from clim_mm.embedding import embed
from clim_mm.evaluation import extract_settings, frozen_features, load_model
from clim_mm.evaluation.features import train_views
from clim_mm.export import FORMATS

pytestmark = pytest.mark.e2e
COMMAND = 'clim_mm/__main__.py'


@pytest.fixture(scope='module')
def checkpoint(trained):
    """Of a training on the digits."""
    return trained('digits').checkpoint(2)


def test_the_features_are_those_of_evaluations(checkpoint, digits):
    cfg = Config.fromfile(ROOT / 'configs/clim/clim_r18_1xb32-20e_digits.py')
    cfg.train_dataloader.dataset.dataset.data_root = str(digits)
    model = load_model(cfg, str(checkpoint), tell=lambda text: None)
    expected = frozen_features(model, train_views(cfg), extract_settings(cfg))
    found = embed(str(checkpoint), str(digits / 'train'))
    np.testing.assert_allclose(found.vectors, expected, atol=1e-6, rtol=0)
    assert found.paths[0].startswith('0/') and list(found.paths) == sorted(found.paths)


def test_three_processes_give_the_same_table(run, checkpoint, few_digits, tmp_path):
    images = tmp_path / 'images'
    shutil.copytree(few_digits / 'train', images)
    broken = sorted(images.rglob('*.png'))[7]
    broken.write_bytes(broken.read_bytes()[:60])
    for processes in (1, 3):
        result = run(COMMAND, 'embed', checkpoint, images, '--out', tmp_path / f'{processes}.npz', '--num-workers', 1,
                     '--clusters', 8, processes=processes)
        assert result.returncode == 0, result.stdout[-3000:]
        assert result.stdout.count('399 images of') == 1 and '1 images cannot be read' in result.stdout
        assert broken.name in result.stdout
    one, three = (dict(np.load(tmp_path / f'{processes}.npz')) for processes in (1, 3))
    assert all(np.array_equal(one[name], three[name]) for name in one) and len(one['path']) == 399
    assert one['neighbors'].shape == (399, 10) and one['cluster'].max() == 7
    assert not [path for path in tmp_path.iterdir() if path.name.startswith('.')]


@pytest.mark.parametrize('target', FORMATS)
def test_exports_embed_as_their_checkpoint(trained, imagenet_like, tmp_path, run, target):
    wide = trained('resnet18').checkpoint()
    out = tmp_path / f'x{FORMATS[target].endings[0]}'
    assert run('tools/export.py', wide, '--to', target, '--out', out).returncode == 0
    folder = next(path for path in sorted((imagenet_like / 'train').iterdir()) if path.is_dir())
    expected, found = (embed(str(path), str(folder), num_workers=0).vectors for path in (wide, out))
    np.testing.assert_allclose(found, expected, atol=1e-6, rtol=0)


def test_a_page_of_duplicates(run, checkpoint, few_digits, tmp_path):
    images = tmp_path / 'images'
    shutil.copytree(few_digits / 'test', images)
    one, other = sorted(images.rglob('*.png'))[3:40:36]
    for place, name in enumerate(['<script>document.title="broken"<&>.png', '"quoted" \u202egnp.png', 'a\nb.png']):
        Image.open(one).save(one.with_name(name), compress_level=place)
    shutil.copy(other, other.with_name('copy.png'))
    page, table = tmp_path / 'd.html', tmp_path / 'd.csv'
    result = run(COMMAND, 'duplicates', checkpoint, images, '--threshold', 0.999999, '--out', page, '--csv', table)
    assert result.returncode == 0, result.stdout[-3000:]
    assert '6 images are in 2 groups of near-duplicates' in result.stdout
    seen = visit(page, """return {title: document.title, facts: document.getElementById('facts').innerText,
        sizes: [...document.querySelectorAll('article')].map(a => a.querySelectorAll('img').length),
        broken: [...document.images].filter(i => i.naturalWidth === 0).length};""")
    assert seen.requests == [] and seen.answers['title'] == f'Near-duplicates in {images}'
    assert seen.answers['sizes'] == [4, 2] and seen.answers['broken'] == 0
    assert 'could be removed\n4' in seen.answers['facts']
    screenshot(page, tmp_path / 'page.png')
    assert (tmp_path / 'page.png').stat().st_size > 10_000


@pytest.mark.parametrize('change, words', [
    (dict(checkpoint='nowhere.pth'), ['nowhere.pth does not exist', 'what export has written']),
    (dict(checkpoint='README.md'), ['README.md']),
    (dict(folder='empty'), ['has no file that ends in']),
    (dict(folder='broken'), ['None of the 2 images', 'can be read']),
    (dict(out='out.csv'), ['written as .parquet or .npz']),
    (dict(more=('--neighbors', '0')), ['neighbors must be']),
])
def test_what_is_refused(run, checkpoint, few_digits, tmp_path, change, words):
    (tmp_path / 'empty').mkdir()
    (tmp_path / 'broken').mkdir()
    for name in 'ab':
        (tmp_path / 'broken' / f'{name}.png').write_bytes(b'no image')
    folder = tmp_path / change['folder'] if 'folder' in change else few_digits / 'test'
    result = run(COMMAND, 'embed', change.get('checkpoint', checkpoint), folder, '--out',
                 tmp_path / change.get('out', 'out.npz'), *change.get('more', ()))
    assert result.returncode == 1 and 'Traceback' not in result.stdout, result.stdout[-3000:]
    assert all(word in result.stdout.strip().splitlines()[-1] for word in words), result.stdout[-500:]
    assert sorted(path.name for path in tmp_path.iterdir()) == ['broken', 'empty']


def test_verbs_that_are_tools(run, digits, checkpoint):
    result = run(COMMAND, 'evaluate', 'knn', 'configs/clim/clim_r18_1xb32-20e_digits.py', checkpoint, '--cfg-options',
                 f'train_dataloader.dataset.dataset.data_root={digits}')
    assert result.returncode == 0 and 'knn_20_top1' in result.stdout, result.stdout[-3000:]
    result = run(COMMAND, 'export', '--help')
    assert result.returncode == 0 and 'usage: clim-mm export' in result.stdout
