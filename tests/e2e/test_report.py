"""The report of a pretraining, in a real browser."""

import json
import shutil

import numpy as np
import pytest
from headless import screenshot, visit
from page_data import data_of
from PIL import Image

from clim_mm.report.records import curves_in, records_in, verdict_of
from clim_mm.report.report import in_two_dimensions

pytestmark = pytest.mark.e2e
COMMAND = 'clim_mm/__main__.py'
ODD = ['<img src=x onerror=alert(1)>.png', '"quoted" \u202egnp.png', 'a\nb.png']


@pytest.fixture(scope='module')
def pretrained(run, few_digits, tmp_path_factory):
    """A pretraining on 120 digits, one of them broken, and names that are made to break a page."""
    folder = tmp_path_factory.mktemp('report')
    images = folder / 'images'
    images.mkdir()
    paths = sorted((few_digits / 'train').rglob('*.png'))[::3][:120]
    for place, path in enumerate(paths):
        shutil.copy(path, images / f'{place:03}.png')
    for path, name in zip(paths, ODD, strict=False):
        Image.open(path).save(images / name, compress_level=0)
    (images / '007.png').write_bytes(b'no image')
    shutil.copy(images / '020.png', images / '021.png')
    result = run(COMMAND, 'pretrain', images, '--epochs', 4, '--out', folder / 'out')
    assert result.returncode == 0, result.stdout[-3000:]
    return folder / 'out'


def test_the_page_shows_everything_and_asks_the_network_for_nothing(pretrained, tmp_path):
    page = pretrained / 'report.html'
    seen = visit(page, """
        document.querySelector('#map svg').dispatchEvent(new KeyboardEvent('keydown', {key: 'ArrowRight'}));
        document.dispatchEvent(new KeyboardEvent('keydown', {key: 'j'}));
        return {title: document.title, verdict: document.getElementById('verdict').innerText,
        parts: [...document.querySelectorAll('section')].map(part => part.id), focused: document.activeElement.id,
        charts: document.querySelectorAll('.chart svg').length, dots: document.querySelectorAll('#map circle').length,
        shown: !document.getElementById('seen').hidden, text: document.body.innerText,
        rows: document.querySelectorAll('#positives .row').length,
        broken: [...document.images].filter(i => i.naturalWidth === 0).length};""")
    answers = seen.answers
    assert seen.requests == [] and answers['broken'] == 0
    assert answers['parts'] == [
        'plan', 'curves', 'positives', 'overview', 'clusters', 'duplicates', 'copies', 'unreadable']
    assert answers['title'] == 'What was learned from images' and answers['focused'] == 'plan' and answers['shown']
    assert answers['charts'] >= 4 and answers['dots'] == 122 and answers['rows'] == 13
    assert '020.png = 021.png' in answers['text'] and '007.png' in answers['text']
    assert answers['verdict'] == verdict_of(str(pretrained / 'training'))[1]
    assert page.stat().st_size < 20e6
    paths = {entry[0] for entry in data_of(page.read_text())['images'].values()}
    assert {'<img src=x onerror=alert(1)>.png', '"quoted" \\u202egnp.png', 'a\\nb.png'} <= paths
    screenshot(page, tmp_path / 'page.png', size=(1200, 2400))
    assert (tmp_path / 'page.png').stat().st_size > 50_000


def test_what_it_says_is_what_the_folder_has(pretrained):
    data = data_of((pretrained / 'report.html').read_text())
    told = {name: (planned, happened) for name, planned, happened in data['told']}
    assert told['epochs'] == ('4', '4') and told['images'][0] == '122'
    work_dir = str(pretrained / 'training')
    assert data['curves'] == json.loads(json.dumps(curves_in(work_dir)))
    assert [refresh['epoch'] for refresh in data['refreshes']] == [1, 3]
    assert sum(row['size'] for row in data['clusters']) <= 122 and len(data['clusters']) == 11


def test_the_report_anew_and_without_a_training(pretrained, run, tmp_path):
    before = (pretrained / 'report.html').read_bytes()
    (pretrained / 'report.html').unlink()
    result = run(COMMAND, 'report', pretrained)
    assert result.returncode == 0 and (pretrained / 'report.html').read_bytes() == before, result.stdout[-2000:]
    result = run(COMMAND, 'report', tmp_path)
    assert result.returncode == 1 and 'give the folder of clim-mm pretrain' in result.stdout
    assert not any(tmp_path.iterdir())


def test_a_line_that_is_cut_off(tmp_path):
    (tmp_path / 'knn.jsonl').write_text('{"run_id": "a", "epoch": 0}\n{"run_id": "b", "epoch": 1, "top1": 0.5}\n{"run_')
    assert records_in(str(tmp_path), 'knn') == [dict(run_id='b', epoch=1, top1=0.5)]
    assert records_in(str(tmp_path), 'watchdog') == []


@pytest.mark.parametrize('number', [1, 4, 5, 60])
def test_a_map_of_few_images(number):
    assert in_two_dimensions(np.random.default_rng(0).normal(size=(number, 64)).astype(np.float32)).shape == (number, 2)
