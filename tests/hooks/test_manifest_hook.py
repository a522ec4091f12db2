"""A changed data folder is noticed on resume, in real runs of one process and of two."""

import gzip
import hashlib
import os
import shutil

import pytest
import torch
from colored_images import empty, write_colored
from colored_runs import check_samples, train
from gloo import on_processes
from training_runs import BATCH, N, hook_cfg, runner_of

from clim_mm.checkpoints import read_checkpoint
from clim_mm.errors import ConfigError, DataError, sentence

HOOKS = dict(manifest=dict(type='ManifestHook'))
NEVER = hook_cfg(begin=99)  # no refresh: nothing is read before the comparison
REMEDY = ('. Sample ids would mean other images than the neighbour table\'s: put the data back as it was, or start '
          'anew from the weights alone, by load_from instead of --resume.')

pytestmark = pytest.mark.usefixtures('one_torch_thread')


def go(folder, work_dir, epochs=1, **kwargs):
    """A run that writes a checkpoint every epoch."""
    return train(folder, work_dir, epochs, hooks=HOOKS, hook=NEVER, checkpoints=True, **kwargs)


def go_on(folder, work_dir, checkpoint=None, **kwargs):
    """Resume it for one more epoch."""
    path = checkpoint or work_dir / 'epoch_1.pth'
    return go(folder, work_dir, 2, resume=True, load_from=str(path), **kwargs)


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
    """The images and the work dir of a run of one epoch."""
    root = tmp_path_factory.mktemp('trained')
    write_colored(root / 'images', N)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    go(root / 'images', root / 'work')
    torch.set_num_threads(threads)
    return root


@pytest.fixture
def root(trained, tmp_path):
    """A copy of both, to be changed: elsewhere, so that every resumed run here has a moved folder."""
    shutil.copytree(trained, tmp_path / 'moved')
    return tmp_path / 'moved'


def lines_of(folder):
    return [f'{os.path.getsize(path)}\t{path.name}' for path in sorted(folder.glob('*.png'))]


def manifest_in(work_dir):
    with gzip.open(work_dir / 'manifest.txt.gz', 'rb') as file:
        return file.read().decode().splitlines()


def refusal(*args, **kwargs):
    with pytest.raises(DataError) as caught:
        go_on(*args, **kwargs)
    assert len(str(caught.value).splitlines()) == 1
    return sentence(caught.value)


def test_the_work_dir_has_the_list_and_the_checkpoint_its_digest(trained):
    lines = lines_of(trained / 'images')
    assert len(lines) == N and manifest_in(trained / 'work') == lines
    digest = hashlib.sha256(''.join(f'{line}\n' for line in lines).encode()).hexdigest()
    assert read_checkpoint(trained / 'work' / 'epoch_1.pth')['manifest'] == digest


def test_a_moved_folder_is_the_same(root, monkeypatch):
    eyes, _ = go_on(root / 'images', root / 'work')
    check_samples(eyes, 1, {})
    monkeypatch.chdir(root)
    eyes, _ = go_on('images/', root / 'work')
    check_samples(eyes, 1, {})


def rename(folder):
    (folder / '23.png').rename(folder / '24.png')


def add(folder):
    shutil.copy(folder / '00.png', folder / '99.png')


def remove(folder):
    for i in range(4):
        (folder / f'{i:02d}.png').unlink()


def resize(folder):
    empty(folder / '07.png')


def misalign(folder):
    """One image less and one more: every id between means another file."""
    (folder / '02.png').rename(folder / '30.png')


@pytest.mark.parametrize('change, words', [
    (rename, '1 removed (23.png), 1 added (24.png)'),
    (add, '1 added (99.png)'),
    (remove, '4 removed (00.png, 01.png, 02.png, ...)'),
    (resize, '1 of another size (07.png)'),
    (misalign, '1 removed (02.png), 1 added (30.png)'),
])
def test_a_changed_folder_is_refused_with_examples(root, change, words):
    before = manifest_in(root / 'work')
    change(root / 'images')
    assert refusal(root / 'images', root / 'work') == (
        f'The training set is not the one of the checkpoint: {words}{REMEDY}')
    assert manifest_in(root / 'work') == before, 'what the checkpoint knows stays to be compared with'
    assert not (root / 'work' / 'epoch_2.pth').exists()


def test_another_order_is_refused(root):
    names = [path.name for path in sorted((root / 'images').glob('*.png'))]
    listed = dict(type='mmselfsup.ImageList', data_root=str(root / 'images'), ann_file='list.txt')
    (root / 'images' / 'list.txt').write_text('\n'.join(names) + '\n')
    go_on(root / 'images', root / 'work', dataset=listed)
    (root / 'images' / 'list.txt').write_text('\n'.join(names[::-1]) + '\n')
    assert refusal(root / 'images', root / 'work', dataset=listed) == (
        f'The training set is not the one of the checkpoint: the same images in another order, '
        f'or listed more or less often{REMEDY}')


@pytest.mark.parametrize('place', ['work', 'another'])
def test_without_the_list_it_is_refused_without_examples(root, place):
    rename(root / 'images')
    (root / 'work' / 'manifest.txt.gz').unlink()
    told = refusal(root / 'images', root / place, checkpoint=root / 'work' / 'epoch_1.pth')
    assert told == f'The training set is not the one of the checkpoint{REMEDY}'


def cut(path):
    path.write_bytes(path.read_bytes()[:-20])


def replace_by_a_folder(path):
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize('damage', [
    cut, replace_by_a_folder, lambda path: path.write_bytes(b''),
    lambda path: path.write_bytes(b'no gzip'), lambda path: path.write_bytes(path.read_bytes()[:12] + b'\xff' * 40),
    lambda path: path.write_bytes(gzip.compress(b'\xff\xfe')),
    lambda path: path.write_bytes(gzip.compress(b'no tab\n'))])
def test_a_damaged_list_hides_no_change(root, damage):
    damage(root / 'work' / 'manifest.txt.gz')
    rename(root / 'images')
    assert refusal(root / 'images', root / 'work') == f'The training set is not the one of the checkpoint{REMEDY}'


def test_a_list_that_cannot_be_written_ends_in_a_sentence(root):
    replace_by_a_folder(root / 'work' / 'manifest.txt.gz')
    told = refusal(root / 'images', root / 'work')
    assert told.startswith(f'Cannot write {root}/work/manifest.txt.gz (Is a directory): move what is there away')


def test_the_list_of_another_run_gives_no_wrong_examples(root):
    shutil.move(root / 'work' / 'epoch_1.pth', root / 'first.pth')
    shutil.copytree(root / 'images', root / 'others')
    rename(root / 'others')
    go(root / 'others', root / 'work')  # in the same work dir: the list is this run's now
    add(root / 'images')
    told = refusal(root / 'images', root / 'work', checkpoint=root / 'first.pth')
    assert told.startswith('The training set is not the one of the checkpoint')
    assert '24.png' not in told and '23.png' not in told, 'the checkpoint has nothing to do with these'


def test_the_weights_alone_go_with_any_folder(root):
    rename(root / 'images')
    go(root / 'images', root / 'work', load_from=str(root / 'work' / 'epoch_1.pth'))
    assert manifest_in(root / 'work') == lines_of(root / 'images')
    assert manifest_in(root / 'work')[-1].endswith('\t24.png')


def test_a_checkpoint_without_a_digest_is_taken(root):
    checkpoint = torch.load(root / 'work' / 'epoch_1.pth', weights_only=False)
    del checkpoint['manifest']
    torch.save(checkpoint, root / 'old.pth')
    rename(root / 'images')
    go_on(root / 'images', root / 'work', checkpoint=root / 'old.pth')
    assert manifest_in(root / 'work') == lines_of(root / 'images')


@pytest.mark.parametrize('name', [b'caf\xe9.png', b'new\nline.png', b'return\r.png', b'a\xe2\x80\xa8b.png'],
                         ids=['no UTF-8', 'line break', 'return', 'line separator'])
def test_unusual_names_are_compared_like_others(root, name):
    folder = os.fsencode(root / 'images')
    os.rename(os.path.join(folder, b'05.png'), os.path.join(folder, name))
    go(root / 'images', root / 'second')
    rename(root / 'images')
    assert refusal(root / 'images', root / 'second') == (
        f'The training set is not the one of the checkpoint: 1 removed (23.png), 1 added (24.png){REMEDY}')


def both_ways(folder, changed, work_dir):
    """Go on with the folder as it was, and with another one; give what was said on this process."""
    eyes, _ = go_on(folder, work_dir, batch_size=4)
    return eyes.ids(1), refusal(changed, work_dir, batch_size=4)


@pytest.mark.e2e
def test_every_process_is_told(root):
    shutil.copytree(root / 'images', root / 'changed')
    resize(root / 'changed')
    (first, told), (second, told_there) = on_processes(
        2, both_ways, root / 'images', root / 'changed', root / 'work')
    assert sorted(first + second) == list(range(N))
    assert told == told_there == (
        f'The training set is not the one of the checkpoint: 1 of another size (07.png){REMEDY}')
    assert manifest_in(root / 'work') == lines_of(root / 'images')


def test_a_plain_dataset_is_refused(trained, tmp_path):
    loader = dict(
        batch_size=BATCH, num_workers=0, sampler=dict(type='DefaultSampler', shuffle=True),
        dataset=dict(type='ImageFolder', data_root=str(trained / 'images'), pipeline=[dict(type='LoadImage')]))
    runner = runner_of(trained / 'images', tmp_path, hook=dict(type='ManifestHook'), train_dataloader=loader)
    with pytest.raises(ConfigError, match='needs a quarantine of unreadable images, .* ImageFolder has none'):
        runner.train()


def test_an_image_in_quarantine_may_be_mended(root):
    """The others may not change; and what was in quarantine stays there in this run."""
    both = dict(HOOKS, quarantine=dict(type='QuarantineHook'))
    sound = (root / 'images' / '07.png').read_bytes()
    empty(root / 'images' / '07.png')
    train(root / 'images', root / 'again', 1, hooks=both, checkpoints=True, max_unreadable=0.5)
    assert read_checkpoint(root / 'again' / 'epoch_1.pth')['quarantine']['ids'] == [7]
    (root / 'images' / '07.png').write_bytes(sound)
    again = dict(hooks=both, checkpoints=True, max_unreadable=0.5, resume=True,
                 load_from=str(root / 'again' / 'epoch_1.pth'))
    _, runner = train(root / 'images', root / 'again', 2, **again)
    assert runner.epoch == 2 and list(runner.train_dataloader.dataset.quarantine.entries) == [7]
    empty(root / 'images' / '08.png')
    with pytest.raises(DataError, match='1 of another size .08.png.'):
        train(root / 'images', root / 'again', 2, **again)
