"""Pages in a real browser: of positives, by a training, by a checkpoint, a large one; of clusters; the views."""

import shutil

import numpy as np
import pytest
from headless import screenshot, visit
from page_data import data_of, pictures_of
from PIL import Image
from trained import IN1K, SMALL

from clim_mm.datasets import ImageFolder
from clim_mm.neighbors import select_positives
from clim_mm.neighbors.refresh import Refresh
from clim_mm.visualization import PageHead, clusters_page, evenly_spread, positives_page

pytestmark = pytest.mark.e2e

# In JavaScript: the ids of the rows that can be seen, by their height.
SEEN = ("const seen = () => [...document.querySelectorAll('article')].filter(a => a.getBoundingClientRect().height > 0)"
        ".map(a => +a.id.replace('anchor-', ''));")


@pytest.fixture(scope='module')
def page(trained):
    """The second page of a training of two epochs, and its data."""
    path = trained('small').work_dir / 'neighbors' / 'epoch_1.html'
    return path, data_of(path.read_text())


def ids_of(data, wanted=lambda row: True):
    return [row['id'] for row in data['anchors'] if wanted(row)]


def test_the_page_says_what_it_shows_and_asks_the_network_for_nothing(page):
    path, data = page
    seen = visit(path, SEEN + """return {
        title: document.title, facts: document.getElementById('facts').innerText,
        count: document.getElementById('count').textContent, seen: seen(), images: document.images.length,
        broken: [...document.images].filter(i => i.naturalWidth === 0).length,
        sizes: [...new Set([...document.images].map(i => i.naturalWidth))]};""")
    assert seen.requests == []
    answers = seen.answers
    assert answers['title'] == 'Positives of the refresh before epoch 1'
    for name, value in [('strategy', 'center_wise'), ('images, N', 203), ('clusters, m', 12), ('neighbours, k', 5),
                        ('positives, P', 5)]:
        assert f'{name}\n{value}' in answers['facts']
    assert answers['seen'] == ids_of(data) == evenly_spread(203, 60).tolist()
    assert answers['count'] == '60 of 60 anchors'
    assert answers['images'] == 60 + sum(len(row['positives']) for row in data['anchors'])
    assert answers['broken'] == 0 and answers['sizes'] == [64]


def test_requests_would_be_noticed(tmp_path):
    (tmp_path / 'page.html').write_text('<body><img src="http://example.invalid/x.png"></body>')
    assert any('example.invalid' in line for line in visit(tmp_path / 'page.html').requests)


@pytest.mark.parametrize('fragment, wanted', [
    ('#filter=changed', lambda row, data: row['gone'] or any(entry[4] for entry in row['positives'])),
    ('#filter=mixed', lambda row, data: any(
        data['images'][str(entry[0])][1] != data['images'][str(row['id'])][1] for entry in row['positives'])),
    ('#cluster={}', lambda row, data: True),
    ('#filter=mixed&cluster={}', lambda row, data: any(
        data['images'][str(entry[0])][1] != data['images'][str(row['id'])][1] for entry in row['positives'])),
    ('#filter=nonsense&cluster=nonsense', lambda row, data: True),
])
def test_filters_hide_the_other_rows(page, fragment, wanted):
    path, data = page
    cluster_of = {row['id']: data['images'][str(row['id'])][2] for row in data['anchors']}
    cluster = cluster_of[data['anchors'][7]['id']]
    expected = [i for i in ids_of(data, lambda row: wanted(row, data))
                if '{}' not in fragment or cluster_of[i] == cluster]
    answers = visit(path, SEEN + 'return {seen: seen()};', fragment.format(cluster)).answers
    assert answers['seen'] == expected
    if '{}' in fragment:
        assert 0 < len(expected) < 60


def test_controls_and_keys(page):
    path, data = page
    answers = visit(path, SEEN + """
        const press = key => document.activeElement.dispatchEvent(new KeyboardEvent('keydown', {key, bubbles: true}));
        const [first, second] = seen();
        press('j'); press('j');
        const down = document.activeElement.id;
        press('k');
        const up = document.activeElement.id;
        press('d');
        const details = document.activeElement.querySelector('details');
        const opened = details.open;
        const select = document.getElementById('cluster');
        select.value = select.options[1].value;
        select.dispatchEvent(new Event('change', {bubbles: true}));
        return {down, up, opened, first, second, seen: seen(), hash: location.hash, cluster: select.value};""").answers
    assert (answers['down'], answers['up']) == (f'anchor-{answers["second"]}', f'anchor-{answers["first"]}')
    assert answers['opened'] is True
    assert answers['hash'] == f'#filter=all&cluster={answers["cluster"]}'
    assert answers['seen'] == ids_of(data, lambda row: data['images'][str(row['id'])][2] == int(answers['cluster']))


def test_dropped_neighbours_appear_under_their_reason(page):
    path, data = page
    row = max(data['anchors'], key=lambda row: len({entry[3] for entry in row['neighbors']}))
    answers = visit(path, f"const details = document.querySelector('#anchor-{row['id']} details');" + """
        details.open = true;
        details.dispatchEvent(new Event('toggle'));
        return {headings: [...details.querySelectorAll('h3')].map(h => h.textContent),
                cells: [...details.querySelectorAll('.cells')].map(c => c.children.length)};""").answers
    reasons = [entry[3] for entry in row['neighbors']]
    expected = [(f'{data["reasons"][name]} ({reasons.count(name)})', reasons.count(name))
                for name in ('not_drawn', 'farther', 'other_cluster') if name in reasons]
    if row['gone']:
        expected.append((f'positives before this refresh, no longer ({len(row["gone"])})', len(row['gone'])))
    assert list(zip(answers['headings'], answers['cells'], strict=True)) == expected and expected


def test_the_screenshot_has_the_pictures(page, tmp_path):
    path, data = page
    screenshot(path, tmp_path / 'page.png')
    pixels = np.asarray(Image.open(tmp_path / 'page.png').convert('RGB')).astype(int)
    assert pixels.shape == (1000, 1300, 3)
    anchor = pictures_of(data)[data['anchors'][0]['id']].reshape(-1, 3).astype(int).mean(axis=0)
    near = (np.abs(pixels - anchor).max(axis=2) < 30).sum()
    assert near > 500, 'the first anchor is somewhere in the picture'


@pytest.fixture(scope='module')
def hostile(tmp_path_factory):
    """A page of five images whose names are HTML, one of them unreadable, none with positives."""
    folder = tmp_path_factory.mktemp('hostile')
    names = ['<img src=x onerror=document.title="hit">.png', '<!--<script>.png', '&lt;b&gt;"\'.png', 'plain.png',
             'z</b>.png'.replace('/', '\u2215')]
    (folder / 'images').mkdir()
    for name in names:
        Image.new('RGB', (30, 20), (90, 160, 60)).save(folder / 'images' / name)
    (folder / 'images' / 'plain.png').write_bytes(b'no picture')
    source = ImageFolder(str(folder / 'images'))
    found = Refresh(
        features=np.ones((5, 2), np.float32), positives=np.full((5, 2), -1, dtype=np.int32),
        centroids=np.zeros((1, 2), np.float32),
        assignments=np.array([0, 0, 0, -1, 0]), neighbors=np.full((5, 2), -1), report={})
    text = positives_page(source, found, np.arange(5),
                          PageHead('</title><script>document.title="hit"</script>', 'center_wise', note='<b>bold</b>'))
    (folder / 'page.html').write_text(text, encoding='utf-8')
    return folder / 'page.html', sorted(names)


def test_names_are_shown_as_they_are(hostile):
    path, names = hostile
    answers = visit(path, """return {title: document.title, note: document.getElementById('note').textContent,
        paths: [...document.querySelectorAll('.path')].map(p => p.textContent),
        inside: document.querySelectorAll('main b, main script, .note b').length,
        lost: document.querySelectorAll('article .lost').length};""").answers
    assert answers['title'] == '</title><script>document.title="hit"</script>' and answers['note'] == '<b>bold</b>'
    assert answers['paths'] == names and answers['inside'] == 0 and answers['lost'] == 1


def test_the_filters_for_no_positives_and_for_unreadable_images(hostile):
    path, names = hostile
    questions = SEEN + 'return {seen: seen()};'
    assert visit(path, questions, '#filter=none').answers['seen'] == [0, 1, 2, 3, 4]
    assert visit(path, questions, '#filter=unreadable').answers['seen'] == [names.index('plain.png')]


def test_a_checkpoint_has_a_page_too(trained, run, tmp_path):
    out, small = tmp_path / 'page.html', trained('small')
    options = [option for option in SMALL if option.startswith(('model.', 'extract.'))]

    def browse(*arguments):
        return run('tools/browse_neighbors.py', small.config, *arguments, '--cfg-options', *options,
                   f'train_dataloader.dataset.dataset.data_root={small.images}')

    epoch = [small.checkpoint(i) for i in (1, 2)]
    result = browse(epoch[1], '--out', out, '--since', epoch[0], '--num-anchors', 60)
    assert result.returncode == 0 and '60 of 203 images as anchors' in result.stdout, result.stdout[-2000:]
    data, last = data_of(out.read_text()), data_of((small.work_dir / 'neighbors' / 'epoch_1.html').read_text())
    for mine, written in zip(data['anchors'], last['anchors'], strict=True):
        assert {entry[0] for entry in mine['positives']} == {entry[0] for entry in written['positives']}
        assert mine['gone'] == written['gone']
    questions = 'return {seen: seen().length, note: document.getElementById("note").innerText};'
    answers = visit(out, SEEN + questions).answers
    assert answers['seen'] == 60 and 'are by the weights of epoch_2.pth' in answers['note']

    result = browse(tmp_path / 'none.pth', '--out', tmp_path / 'none.html')
    assert result.returncode == 1 and 'Error: There is no checkpoint' in result.stdout.splitlines()[-1]
    assert not (tmp_path / 'none.html').exists()


@pytest.fixture(scope='module')
def clusters(tmp_path_factory):
    """A page of four clusters of 30 images of three classes, and its data."""
    folder = tmp_path_factory.mktemp('clusters')
    for i in range(30):
        Image.new('RGB', (20, 20), (8 * i, 120, 40)).save(folder / f'{i:02d}.png')
    (folder / '29.png').write_bytes(b'no picture')
    of = np.repeat([0, 1, 3], [24, 2, 4])  # none in cluster 2
    labels = np.r_[[0] * 20, [1] * 4, [0, 0], [1, 2, 1, 2]]
    text = clusters_page(ImageFolder(str(folder)), of, 4, np.linspace(1, 0, 30), 'probability', labels,
                         ('ant', '<b>bee</b>', 'cat'), 'Four clusters')
    (folder / 'page.html').write_text(text)
    return folder / 'page.html'


OF_CLUSTERS = SEEN.replace('anchor-', 'cluster-')


def test_a_page_of_clusters(clusters):
    seen = visit(clusters, OF_CLUSTERS + """
        const texts = selector => [...document.querySelectorAll(selector)].map(found => found.textContent);
        document.querySelector('details').open = true;
        return {title: document.title, facts: document.getElementById('facts').innerText, seen: seen(),
        count: document.getElementById('count').textContent, headings: texts('h3'), first: texts('article')[0],
        cells: [...document.querySelectorAll('.cells')].map(cells => cells.children.length),
        other: document.querySelectorAll('figure.other').length, lost: document.querySelectorAll('.lost').length,
        bold: document.querySelectorAll('main b').length, help: document.querySelector('.help').innerText};""")
    assert seen.requests == []
    answers = seen.answers
    assert (answers['title'], answers['seen'], answers['count']) == ('Four clusters', [0, 1, 2, 3], '4 of 4 clusters')
    for name, value in [('images', 30), ('clusters', 4), ('empty', 1), ('classes', 3), ('purity', '80.0 %')]:
        assert f'{name}\n{value}' in answers['facts']
    assert answers['headings'] == ['most certain', 'least certain', 'all of it', 'all of it']
    assert answers['cells'] == [10, 10, 2, 4] and (answers['other'], answers['lost'], answers['bold']) == (6, 1, 0)
    for words in ('24 images, 80.0 % of all', 'ant 83.3 %', '<b>bee</b> 16.7 %', '✗ <b>bee</b>', 'p 1.00'):
        assert words in answers['first'], words
    assert 'the probability that the head gives' in answers['help']


@pytest.mark.parametrize('fragment, wanted', [
    ('#filter=divided', [0, 1]), ('#filter=empty', [2]), ('#filter=mixed', []), ('#filter=all&class=0', [0, 1]),
    ('#class=1', [3]), ('#class=-1', [2]), ('#filter=empty&class=0', []), ('#filter=none&class=9', [0, 1, 2, 3])])
def test_filters_of_clusters(clusters, fragment, wanted):
    assert visit(clusters, OF_CLUSTERS + 'return {seen: seen()};', fragment).answers['seen'] == wanted


def test_controls_and_keys_of_clusters(clusters):
    answers = visit(clusters, OF_CLUSTERS + """
        const press = key => document.activeElement.dispatchEvent(new KeyboardEvent('keydown', {key, bubbles: true}));
        press('j'); press('j');
        const down = document.activeElement.id;
        const select = document.getElementById('class'), options = [...select.options].map(o => o.textContent);
        select.value = '0';
        select.dispatchEvent(new Event('change', {bubbles: true}));
        return {down, options, seen: seen(), hash: location.hash};""").answers
    assert answers == dict(down='cluster-1', options=['all', 'none (1 cluster)', 'ant (2 clusters)',
                                                      '<b>bee</b> (1 cluster)'],
                           seen=[0, 1], hash='#filter=all&class=0')


def test_what_the_network_is_fed(run, imagenet_like, tmp_path):
    out = tmp_path / 'views.png'
    options = [
        f'train_dataloader.dataset.dataset.data_root={imagenet_like}',
        'train_dataloader.dataset.pipeline.0.view.0.resolutions=(48,32)'
    ]

    def browse(*arguments):
        return run('tools/browse_views.py', IN1K, *arguments, '--cfg-options', *options)

    result = browse('--num', 3, '--out', out)
    assert result.returncode == 0, result.stdout[-2000:]
    pixels = np.asarray(Image.open(out).convert('RGB')).astype(int)
    assert pixels.shape[1] > pixels.shape[0] > 300
    for color in ((0x1F, 0x5F, 0xBF), (0xE0, 0x7B, 0)):  # frames and bars
        assert (np.abs(pixels - color).max(axis=2) < 5).sum() > 2000
    result = browse('--out', tmp_path / 'views.doc')
    assert result.returncode == 1 and 'The ending of --out must be one of png, pdf, svg' in result.stdout
    assert [path.name for path in tmp_path.iterdir()] == ['views.png']


def test_500_anchors_with_all_that_belongs_to_them_are_below_15_mb(tmp_path):
    # Every neighbour of every anchor another image, as on ImageNet: 500 * (1 + 40) pictures, each textured and noisy.
    # What they show repeats, under names of their own: a page encodes each anew.
    anchors, k, num_images, num_pictures = 500, 40, 20_500, 100
    rng = np.random.default_rng(0)
    for i in range(num_images):
        path = tmp_path / 'images' / f'n{i // 100:08d}' / f'n{i // 100:08d}_{i:05d}.JPEG'
        path.parent.mkdir(parents=True, exist_ok=True)
        if i >= num_pictures:
            shutil.copyfile(tmp_path / 'images' / 'n00000000' / f'n00000000_{i % num_pictures:05d}.JPEG', path)
            continue
        coarse = Image.fromarray(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)).resize((96, 72), Image.BICUBIC)
        pixels = np.asarray(coarse).astype(np.int16) + rng.integers(-20, 20, (72, 96, 1), dtype=np.int16)
        Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(path, quality=90)
    ids = np.arange(anchors) * (k + 1)
    features = rng.normal(size=(num_images, 16)).astype(np.float32)
    features /= np.linalg.norm(features, axis=1, keepdims=True)
    neighbors = np.full((num_images, k), -1)
    neighbors[ids] = ids[:, None] + 1 + np.arange(k)
    centroids, assignments = features[:20], rng.integers(0, 20, num_images)
    positives = select_positives(features, centroids, assignments, neighbors)
    found = Refresh(features, positives, centroids, assignments, neighbors, {})
    text = positives_page(ImageFolder(str(tmp_path / 'images')), found, ids,
                          PageHead('Large', 'center_wise'), previous=positives[ids])
    size = len(text.encode())
    assert 8e6 < size < 15e6, size
    (tmp_path / 'page.html').write_text(text)
    answers = visit(tmp_path / 'page.html', SEEN + """return {seen: seen().length, images: document.images.length,
        broken: [...document.images].filter(i => i.naturalWidth === 0).length};""").answers
    assert answers == dict(seen=500, images=500 * 11, broken=0)
    side = {picture.shape for picture in pictures_of(data_of(text)).values()}
    assert len(side) == 1 and side.pop()[0] >= 32, 'still large enough to see something'
