"""Every evaluation of a checkpoint by one command, as pretraining wrote it, on the digits."""

import json
import re
import shutil
import sys

import pytest

pytestmark = pytest.mark.e2e

CLIM = 'configs/clim/clim_r18_1xb32-20e_digits.py'
LINEAR = 'configs/benchmarks/classification/digits/resnet18_linear-1xb32-steplr-30e_digits.py'
SEMI = 'configs/benchmarks/classification/digits/resnet18_semi-1xb16-steplr-60e_digits-1pct.py'


@pytest.fixture(scope='module')
def digits(run, tmp_path_factory):
    """The digits, and a checkpoint of two epochs on them."""
    folder = tmp_path_factory.mktemp('digits')
    write = f'from prepare_digits import write_digits; write_digits({str(folder / "data")!r})'
    made = run(sys.executable, '-c', f'import sys; sys.path.insert(0, "tools"); {write}')
    assert made.returncode == 0, made.stdout
    trained = run(sys.executable, 'tools/train.py', CLIM, '--work-dir', folder / 'work', '--cfg-options',
                  f'train_dataloader.dataset.dataset.data_root={folder / "data"}', 'train_cfg.max_epochs=2',
                  'default_hooks.checkpoint.interval=2', 'default_hooks.preflight.seconds=0')
    assert trained.returncode == 0, trained.stdout[-3000:]
    return folder / 'data', folder / 'work' / 'epoch_2.pth'


@pytest.fixture
def evaluate(run, digits, tmp_path):
    """Run tools/evaluate.py on the checkpoint: ``evaluate(command, *arguments)``, with its figures."""

    def evaluate_by(command, *arguments):
        result = run(
            sys.executable, 'tools/evaluate.py', command, CLIM, digits[1], *arguments, '--json', tmp_path / 'out.json',
            '--cfg-options', f'train_dataloader.dataset.dataset.data_root={digits[0]}')
        path = tmp_path / 'out.json'
        return result, json.loads(path.read_text()) if path.exists() else None

    return evaluate_by


def test_knn_is_better_than_chance_and_what_the_training_said(evaluate, digits):
    result, figures = evaluate('knn')
    assert result.returncode == 0, result.stdout[-3000:]
    assert 0.5 < figures['knn_20_top1'] < 1
    during = json.loads((digits[1].parent / 'knn.jsonl').read_text().splitlines()[-1])
    assert (during['epoch'], during['k']) == (0, 20) and 0.3 < during['top1'] < 1


def test_probe(evaluate):
    result, figures = evaluate('probe')
    assert result.returncode == 0, result.stdout[-3000:]
    assert 0.5 < figures['probe_top1'] < 1


def test_diagnostics(evaluate):
    result, figures = evaluate('diagnostics')
    assert result.returncode == 0, result.stdout[-3000:]
    assert 0.1 < figures['intra_class_similarity'] < 1 and figures['uniformity'] < 0 < figures['alignment']
    assert figures['purity_random'] < 0.2 < figures['purity_center_wise'] and figures['num_clusters'] == 90
    assert all(name in result.stdout for name in figures)


def test_tsne(evaluate, tmp_path):
    result, figures = evaluate('tsne', '--out', tmp_path / 'tsne.png')
    assert result.returncode == 0, result.stdout[-3000:]
    assert figures['images'] == 355 and (tmp_path / 'tsne.png').stat().st_size > 20000


# What cannot be measured, and what is said of it: a command, its options, and how the images or the config differ.
REFUSED = [
    ('knn', [], ['model.backbone.depth=34'], ['do not fit the model', 'missing']),
    ('knn', [], ['held_out.data_prefix=nowhere'], ['nowhere', 'does not exist']),
    ('diagnostics', [], ['train_dataloader.dataset.dataset.type=ImageFolder'], ['no labels']),
    ('knn', ['--k', '5000'], [], ['5000 nearest neighbours cannot vote among 1442']),
    ('probe', [], ['{few}'], ['all of one class']),
    ('figures', [], ['{few}'], ['all of one class']),
    ('diagnostics', [], ['{few}'], ['No class has two images']),
    ('tsne', [], ['{few}'], ['t-SNE of 1 images']),
]
# What is said before the checkpoint is looked for.
REFUSED_AT_ONCE = [
    ('knn', ['--k', '0'], ['--k', 'at least 1']),
    ('figures', ['--temperature', '0'], ['--temperature', 'above 0']),
    ('tsne', ['--classes', '0'], ['--classes', 'from 1 to 20']),
    ('tsne', ['--seed', '-1'], ['--seed', 'at least 0']),
    ('tsne', ['--out', 'tsne.gif'], ['--out', 'png, pdf, svg', "'gif'"]),
    ('knn', [], ['nothing.pth']),
]


def test_what_cannot_be_measured_is_said_in_a_sentence_before_features_are_taken(ends_of, digits, tmp_path):
    few, out = tmp_path / 'few', tmp_path / 'out'
    out.mkdir()
    shutil.copytree(digits[0] / 'train' / '3', few / 'train' / '3')
    (few / 'test' / '3').mkdir(parents=True)
    shutil.copy(next((digits[0] / 'test' / '3').iterdir()), few / 'test' / '3')

    def words_of(command, checkpoint, options, change):
        change = [f'train_dataloader.dataset.dataset.data_root={few}' if one == '{few}' else one for one in change]
        return [command, CLIM, checkpoint, *options, '--json', out / 'out.json', '--cfg-options',
                f'train_dataloader.dataset.dataset.data_root={digits[0]}', *change]

    runs = [words_of(command, digits[1], options, change) for command, options, change, _ in REFUSED]
    runs += [words_of(command, 'nothing.pth', options, []) for command, options, _ in REFUSED_AT_ONCE]
    ends, output = ends_of('tools/evaluate.py', runs)
    for end, (*case, words) in zip(ends, REFUSED + REFUSED_AT_ONCE, strict=True):
        assert end is not None and end.startswith('Error: ') and '\n' not in end, (case, end)
        assert all(word in end for word in words), (case, end)
    assert 'extract' not in output and list(out.iterdir()) == []


def accuracies(text):
    return [float(top1) for top1 in re.findall(r'accuracy/top1: ([\d.]+)', text)]


def train(run, digits, work_dir, config, *options, pretrained=True):
    return run(sys.executable, 'tools/train.py', config, '--work-dir', work_dir,
               *(['--pretrained', digits[1]] if pretrained else []), '--cfg-options',
               f'train_dataloader.dataset.data_root={digits[0]}', f'val_dataloader.dataset.data_root={digits[0]}',
               'default_hooks.preflight.seconds=0', *options)


def test_linear(run, digits, tmp_path):
    result = train(run, digits, tmp_path, LINEAR, 'train_cfg.max_epochs=4', 'train_cfg.val_interval=2')
    assert result.returncode == 0, result.stdout[-3000:]
    assert re.search(r'All \d+ weights of the backbone are those of .*epoch_2.pth, and stay frozen', result.stdout)
    assert len(accuracies(result.stdout)) == 2 and accuracies(result.stdout)[-1] > 30


def test_one_percent_of_the_labels(run, digits, tmp_path):
    split = tmp_path / '1percent.txt'
    made = run(sys.executable, 'tools/make_label_split.py', digits[0] / 'train', '--percent', 1, '--out', split)
    assert made.returncode == 0 and '10 of 1442 images, of 10 classes' in made.stdout
    assert len(split.read_text().splitlines()) == 10
    result = train(run, digits, tmp_path / 'work', SEMI, f'train_dataloader.dataset.split={split}')
    assert result.returncode == 0, result.stdout[-3000:]
    assert accuracies(result.stdout)[-1] > 20, 'chance is 10'


def test_a_list_of_images_without_labels(run, digits, tmp_path):
    made = run(sys.executable, 'tools/make_label_split.py', digits[0] / 'train' / '3', '--percent', 1, '--out',
               tmp_path / 'split.txt')
    assert made.returncode == 1 and 'Traceback' not in made.stdout
    assert 'train/3 have no labels to be listed' in made.stdout.strip().splitlines()[-1]
    assert list(tmp_path.iterdir()) == []


def test_an_evaluation_without_a_checkpoint(run, digits, tmp_path):
    result = train(run, digits, tmp_path, LINEAR, pretrained=False)
    assert result.returncode == 1 and 'Traceback' not in result.stdout
    assert 'give it by --pretrained FILE' in result.stdout.strip().splitlines()[-1]


def test_a_list_of_other_images(run, digits, tmp_path):
    split = tmp_path / 'split.txt'
    split.write_text('n01440764_10023.JPEG\n')
    result = train(run, digits, tmp_path / 'work', SEMI, f'train_dataloader.dataset.split={split}')
    assert result.returncode == 1 and 'Traceback' not in result.stdout, result.stdout[-3000:]
    assert '1 of the 1 images that' in result.stdout.strip().splitlines()[-1]
