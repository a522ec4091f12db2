"""Every evaluation of a checkpoint by one command, as pretraining wrote it, on the digits."""

import json
import re
import shutil

import pytest
import torch
from page_data import data_of
from trained import DIGITS as CLIM
from trained import ROOT

pytestmark = pytest.mark.e2e

LINEAR = 'configs/benchmarks/classification/digits/resnet18_linear-1xb32-steplr-30e_digits.py'
DEPTHS = 'configs/benchmarks/classification/digits/resnet18_linear-depths-1xb32-steplr-30e_digits.py'
SEMI = 'configs/benchmarks/classification/digits/resnet18_semi-1xb16-steplr-60e_digits-1pct.py'


@pytest.fixture(scope='module')
def pretrained(trained):
    """The checkpoint of two epochs on the digits."""
    return trained('digits').checkpoint(2)


@pytest.fixture
def evaluate(run, digits, pretrained, tmp_path):
    """Run tools/evaluate.py on the checkpoint: ``evaluate(command, *arguments)``, with its figures."""

    def evaluate_by(command, *arguments):
        result = run(
            'tools/evaluate.py', command, CLIM, pretrained, *arguments, '--json', tmp_path / 'out.json',
            '--cfg-options', f'train_dataloader.dataset.dataset.data_root={digits}')
        path = tmp_path / 'out.json'
        return result, json.loads(path.read_text()) if path.exists() else None

    return evaluate_by


def test_knn_is_better_than_chance_and_what_the_training_said(evaluate, pretrained):
    result, figures = evaluate('knn')
    assert result.returncode == 0, result.stdout[-3000:]
    assert 0.5 < figures['knn_20_top1'] < 1
    during = json.loads((pretrained.parent / 'knn.jsonl').read_text().splitlines()[-1])
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


def test_what_needs_no_labels_is_measured_without_them(run, digits, pretrained, tmp_path):
    def measure(command, kind):
        result = run(
            'tools/evaluate.py', command, CLIM, pretrained, '--json', tmp_path / 'out.json', '--cfg-options',
            f'train_dataloader.dataset.dataset.data_root={digits}', f'train_dataloader.dataset.dataset.type={kind}')
        assert result.returncode == 0, result.stdout[-3000:]
        return result.stdout, json.loads((tmp_path / 'out.json').read_text())

    said, figures = measure('figures', 'ImageFolder')
    assert 'have no labels' in said and measure('diagnostics', 'ImageFolder')[1] == figures
    assert 1 < figures['rank_me'] < 128 and figures['uniformity'] < 0 < figures['alignment']
    with_labels = measure('diagnostics', 'ClassFolder')[1]
    assert 'purity_knn' in with_labels and 'have no labels' not in ' '.join(with_labels.pop('premises'))
    del figures['premises']
    assert {name: with_labels[name] for name in figures} == figures  # the images are in the same order


def test_tsne(evaluate, tmp_path):
    result, figures = evaluate('tsne', '--out', tmp_path / 'tsne.png')
    assert result.returncode == 0, result.stdout[-3000:]
    assert figures['images'] == 355 and (tmp_path / 'tsne.png').stat().st_size > 20000


def test_clusters_by_kmeans_with_a_picture_and_a_page(evaluate, tmp_path):
    picture, page = tmp_path / 'confusion.png', tmp_path / 'pages' / 'clusters.html'
    result, figures = evaluate('clusters', '--out', picture, '--page', page)
    assert result.returncode == 0, result.stdout[-3000:]
    assert list(figures) == ['nmi_kmeans', 'ari_kmeans', 'acc_kmeans', 'premises']
    assert 0.2 < figures['ari_kmeans'] < figures['nmi_kmeans'] < 1 and 0.3 < figures['acc_kmeans'] < 1
    assert picture.stat().st_size > 20000
    rows = data_of(page.read_text())['clusters']
    assert len(rows) == 10 and sum(row['size'] for row in rows) == 355
    # The best match cannot have more of the images than the clusters' main classes.
    assert sum(row['classes'][0][1] for row in rows) / 355 >= figures['acc_kmeans']


HEADS = (10, 20)


@pytest.fixture
def with_heads(run, digits, pretrained, tmp_path):
    """Measure the same network with cluster heads beside it: ``with_heads(command, *arguments, settings)``."""
    torch.manual_seed(0)
    held = torch.load(pretrained, weights_only=False)
    channels = held['state_dict']['neck.mlp.0.weight'].shape[1]
    weights = {f'cluster_heads.{i}.weight': 5 * torch.randn(number, channels) for i, number in enumerate(HEADS)}
    biases = {f'cluster_heads.{i}.bias': torch.zeros(number) for i, number in enumerate(HEADS)}
    torch.save(dict(held, state_dict=dict(held['state_dict'], **weights, **biases)), tmp_path / 'heads.pth')

    def measure(command, *arguments, settings='', checkpoint='heads.pth'):
        config = tmp_path / 'heads.py'
        config.write_text(f"""_base_ = {str(ROOT / CLIM)!r}
custom_imports = dict(imports=['clim_mm', 'clustered_clim'])
model = dict(type='ClusteredCLIM', channels={channels}, num_clusters={HEADS})
train_dataloader = dict(dataset=dict(dataset=dict(data_root={str(digits)!r})))
{settings}
""")
        result = run('tools/evaluate.py', command, config, tmp_path / checkpoint, *arguments, '--json',
                     tmp_path / 'out.json')
        path = tmp_path / 'out.json'
        return result, json.loads(path.read_text()) if path.exists() else None

    return measure


def test_clusters_by_heads(with_heads, pretrained, tmp_path):
    result, figures = with_heads('clusters', '--page', tmp_path / 'clusters.html')
    assert result.returncode == 0, result.stdout[-3000:]
    assert {name.partition('_')[0] for name in figures if name.endswith('kmeans')} == {'nmi', 'ari', 'acc'}
    own = ('nmi', 'ari', 'acc', 'largest_cluster', 'empty_clusters', 'cluster_entropy', 'cluster_confidence')
    assert all(f'{name}_head_{number}' in figures for name in own for number in HEADS)
    assert figures['acc_many_to_one_head_20'] >= figures['acc_head_20'] and 'acc_many_to_one_head_10' not in figures
    assert 'The page of head_10' in result.stdout
    facts = data_of((tmp_path / 'clusters.html').read_text())['facts']
    assert (facts['clusters'], facts['certainty']) == (10, 'probability')
    assert facts['empty'] == round(10 * figures['empty_clusters_head_10'])

    result, _ = with_heads('clusters', checkpoint=pretrained)
    assert result.returncode == 1 and 'cluster heads need (cluster_heads.0.weight' in result.stdout.splitlines()[-1]


def test_clusters_against_super_classes_and_the_rest_against_classes(with_heads, evaluate, tmp_path):
    names = ['round', 'straight', 'other', 'straight', 'straight', 'other', 'round', 'straight', 'round', 'round']
    path = tmp_path / 'superclasses.txt'
    path.write_text(''.join(f'{digit}\t{name}\n' for digit, name in enumerate(names)))
    _, plain = evaluate('figures')
    result, figures = with_heads('figures', settings=f'superclasses = {str(path)!r}')
    assert result.returncode == 0, result.stdout[-3000:]
    assert f'measured against the 3 super-classes of {path}' in result.stdout
    assert 'acc_many_to_one_head_10' in figures, 'ten clusters are more than three'
    assert plain['acc_kmeans'] != figures['acc_kmeans'] and plain['knn_20_top1'] == figures['knn_20_top1']
    path.write_text('0\tround\n')
    result, _ = with_heads('clusters', settings=f'superclasses = {str(path)!r}')
    assert result.returncode == 1 and 'no super-class of 9 of the 10 classes' in result.stdout.splitlines()[-1]


def under_the_names_of_moco(checkpoint, path):
    """The same network, as MoCo's release has its own."""
    weights = torch.load(checkpoint, weights_only=False)['state_dict']
    state = {name.replace('backbone.', 'module.encoder_q.', 1): value for name, value in weights.items()
             if name.startswith('backbone.')}
    torch.save(dict(epoch=2, arch='resnet18', state_dict=dict(state, **{'module.queue': torch.zeros(128, 9)})), path)
    return path


def test_mocos_release_is_measured_and_not_a_random_network(evaluate, run, digits, pretrained, tmp_path):
    _, figures = evaluate('knn')
    released = under_the_names_of_moco(pretrained, tmp_path / 'moco_v2_800ep_pretrain.pth.tar')
    on_digits = ('--cfg-options', f'train_dataloader.dataset.dataset.data_root={digits}')
    result = run('tools/evaluate.py', 'knn', CLIM, released, '--json', tmp_path / 'moco.json', *on_digits)
    assert result.returncode == 0, result.stdout[-3000:]
    found = json.loads((tmp_path / 'moco.json').read_text())
    assert found['knn_20_top1'] == figures['knn_20_top1']
    assert 'those of' in found['premises'][1] and '(under the names of MoCo)' in found['premises'][1]
    assert '355 held-out images are of the same 10 classes, and are apart from the 1442' in result.stdout
    result = run('tools/evaluate.py', 'diagnostics', CLIM, released, *on_digits)
    assert result.returncode == 1 and 'Traceback' not in result.stdout
    assert 'does not have all weights of the encoder_k.module.0' in result.stdout.strip().splitlines()[-1]


# What cannot be measured, and what is said of it: a command, its options, and how the images or the config differ.
REFUSED = [
    ('knn', [], ['model.backbone.type=mmcls.VisionTransformer'], ['part of the config cannot be built', "'depth'"]),
    ('knn', [], ['train_dataloader.dataset.dataset.type=Foldr'], ['part of the config cannot be built', 'Foldr']),
    ('knn', [], ['model.backbone.depth=34'], ['do not fit the model', 'missing']),
    ('knn', [], ['held_out.data_prefix=nowhere'], ['nowhere', 'does not exist']),
    ('knn', [], ['held_out.data_prefix=train'], ['1442 of the 1442 held-out images are training images']),
    ('knn', [], ['held_out.data_prefix=train/../test', 'held_out.classes=[9,8,7,6,5,4,3,2,1,0]'], ['another order']),
    ('probe', [], ['model.data_preprocessor.bgr_to_rgb=False'], ['normalised here by BGR', 'was trained with RGB']),
    ('knn', [], ['train_dataloader.dataset.dataset.type=ImageFolder'], ['no labels']),
    ('knn', ['--k', '5000'], [], ['5000 nearest neighbours cannot vote among 1442']),
    ('knn', [], ['{few}'], ['all of one class']),
    ('probe', [], ['{few}'], ['all of one class']),
    ('figures', [], ['{few}'], ['all of one class']),
    ('diagnostics', [], ['{few}'], ['No class has two images']),
    ('clusters', [], ['{few}'], ['all of one class']),
    ('clusters', ['--of', 'head_10'], [], ['--of must be one of kmeans', "'head_10'"]),
    ('tsne', [], ['{few}'], ['The number of images of t-SNE must be', ', not 1']),
]
# What is said before the checkpoint is looked for.
REFUSED_AT_ONCE = [
    ('knn', ['--k', '0'], ['--k', 'at least 1']),
    ('figures', ['--temperature', '0'], ['--temperature', 'above 0']),
    ('tsne', ['--classes', '0'], ['--classes', 'from 1 to 20']),
    ('tsne', ['--seed', '-1'], ['--seed', 'at least 0']),
    ('tsne', ['--out', 'tsne.gif'], ['--out', 'png, pdf, svg', "'gif'"]),
    ('clusters', ['--out', 'confusion.gif'], ['--out', 'png, pdf, svg', "'gif'"]),
    ('knn', [], ['nothing.pth']),
]


@pytest.fixture(scope='module')
def few(digits, tmp_path_factory):
    """All images of one class to train on, and one of it to measure on."""
    folder = tmp_path_factory.mktemp('few')
    shutil.copytree(digits / 'train' / '3', folder / 'train' / '3')
    (folder / 'test' / '3').mkdir(parents=True)
    shutil.copy(next((digits / 'test' / '3').iterdir()), folder / 'test' / '3')
    return folder


@pytest.mark.parametrize('command, options, change, words, there', [
    *[(*case, True) for case in REFUSED],
    *[(command, options, [], words, False) for command, options, words in REFUSED_AT_ONCE]])
def test_what_cannot_be_measured_is_said_in_a_sentence_before_features_are_taken(
        run, digits, pretrained, few, tmp_path, command, options, change, words, there):
    change = [f'train_dataloader.dataset.dataset.data_root={few}' if one == '{few}' else one for one in change]
    result = run('tools/evaluate.py', command, CLIM, pretrained if there else 'nothing.pth', *options, '--json',
                 tmp_path / 'out.json', '--cfg-options', f'train_dataloader.dataset.dataset.data_root={digits}',
                 *change)
    assert result.returncode == 1 and 'Traceback' not in result.stdout, result.stdout[-3000:]
    last = result.stdout.strip().splitlines()[-1]
    assert last.startswith('Error: ') and all(word in last for word in words), last
    assert 'extract' not in result.stdout and list(tmp_path.iterdir()) == []


@pytest.mark.parametrize('command', ['evaluate', 'train', 'preflight', 'browse_neighbors'])
def test_a_transformer_is_refused_by_every_command(run, digits, pretrained, tmp_path, command):
    config = tmp_path / 'transformer.py'
    config.write_text(f"""_base_ = {str(ROOT / CLIM)!r}
model = dict(backbone=dict(_delete_=True, type='mmcls.VisionTransformer', arch='deit-tiny', img_size=16, patch_size=4))
train_dataloader = dict(dataset=dict(dataset=dict(data_root={str(digits)!r})))
""")
    arguments = dict(evaluate=['knn', config, pretrained], browse_neighbors=[config, pretrained], preflight=[config],
                     train=[config, '--work-dir', tmp_path / 'work'])[command]
    result = run(f'tools/{command}.py', *arguments)
    assert result.returncode == 1 and 'Traceback' not in result.stdout, result.stdout[-3000:]
    last = result.stdout.strip().splitlines()[-1]
    assert 'model.backbone (VisionTransformer) and model.neck (MoCoV2Neck) make no features of an image' in last


def accuracies(text):
    return [float(top1) for top1 in re.findall(r'accuracy/top1: ([\d.]+)', text)]


@pytest.fixture
def transfer(run, digits, pretrained):
    """Train a classifier from the checkpoint: ``transfer(work_dir, config, *options)``."""

    def transfer_to(work_dir, config, *options, start=('--pretrained', pretrained)):
        return run('tools/train.py', config, '--work-dir', work_dir, *start, '--cfg-options',
                   f'train_dataloader.dataset.data_root={digits}', f'val_dataloader.dataset.data_root={digits}',
                   'default_hooks.preflight.seconds=0', 'randomness.seed=0', *options)

    return transfer_to


def test_linear(transfer, tmp_path):
    result = transfer(tmp_path, LINEAR, 'train_cfg.max_epochs=4', 'train_cfg.val_interval=2')
    assert result.returncode == 0, result.stdout[-3000:]
    assert re.search(r'All \d+ weights of the backbone are those of .*epoch_2.pth, and stay frozen', result.stdout)
    assert 'normalised as in the pretraining' in result.stdout and 'are apart from the 1442' in result.stdout
    assert len(accuracies(result.stdout)) == 2 and accuracies(result.stdout)[-1] > 30


def test_linear_at_each_depth(transfer, tmp_path):
    result = transfer(tmp_path, DEPTHS, 'train_cfg.max_epochs=4', 'train_cfg.val_interval=2')
    assert result.returncode == 0, result.stdout[-3000:]
    assert re.search(r'All \d+ weights of the backbone are those of .*epoch_2.pth, and stay frozen', result.stdout)
    for point in ('res4', 'res5_1', 'res5_2'):
        found = [float(top1) for top1 in re.findall(fr'{point}_accuracy/top1: ([\d.]+)', result.stdout)]
        assert len(found) == 2 and found[-1] > 30, (point, found)
        assert re.search(fr'{point}_loss: [\d.]+', result.stdout)
    assert [*tmp_path.rglob('best_res5_2_accuracy_top1_epoch_*.pth')]


RATE = 'optim_wrapper.optimizer.lr=30'


@pytest.mark.parametrize('config, lr, said', [
    (LINEAR, '', ''), (LINEAR, RATE, 'the 0.5 of the rule 0.5 x images per step / 32'), (SEMI, RATE, '')])
def test_the_preflight_knows_the_rules_of_evaluations(run, transfer, digits, tmp_path, config, lr, said):
    split = tmp_path / '1percent.txt'
    run('tools/make_label_split.py', digits / 'train', '--percent', 1, '--out', split)
    options = [f'train_dataloader.dataset.split={split}'] if config is SEMI else []
    options += ['train_cfg.max_epochs=1', 'default_hooks.preflight.seconds=1', *filter(None, [lr])]
    result = transfer(tmp_path / 'work', config, *options)
    assert result.returncode == 0 and 'Preflight of' in result.stdout, result.stdout[-3000:]
    assert 'The learning rate' not in result.stdout if not said else said in ' '.join(result.stdout.split())


def test_one_percent_of_the_labels(run, transfer, digits, pretrained, tmp_path):
    split = tmp_path / '1percent.txt'
    made = run('tools/make_label_split.py', digits / 'train', '--percent', 1, '--out', split)
    assert made.returncode == 0 and '10 of 1442 images, of 10 classes' in made.stdout
    assert len(split.read_text().splitlines()) == 10
    result = transfer(tmp_path / 'work', SEMI, f'train_dataloader.dataset.split={split}')
    assert result.returncode == 0, result.stdout[-3000:]
    assert accuracies(result.stdout)[-1] > 20, 'chance is 10'
    assert 'Self-training' not in result.stdout

    # Self-training: the others get labels, where the network is sure.
    again = tmp_path / 'again.txt'
    on_digits = ('--cfg-options', f'train_dataloader.dataset.data_root={digits}',
                 f'val_dataloader.dataset.data_root={digits}')

    def pseudo_labels(checkpoint, *options):
        return run('tools/pseudo_labels.py', SEMI, checkpoint, *options, '--out', again, *on_digits,
                   f'train_dataloader.dataset.split={split}')

    checkpoint = tmp_path / 'work' / 'epoch_60.pth'
    other = pseudo_labels(pretrained, '--max-entropy', 1)
    assert other.returncode == 1 and not again.exists()
    assert 'is no checkpoint of this fine-tuning (2 missing: head.fc' in other.stdout.splitlines()[-1]
    found = pseudo_labels(checkpoint, '--max-entropy', 1, '--most-per-class', 20)
    assert found.returncode == 0, found.stdout[-3000:]
    comment, *lines = again.read_text().splitlines()
    pseudo = [line for line in lines if '\t' in line]
    assert comment.startswith(f'# self-training: {len(pseudo)} pseudo-labels by epoch_60.pth, at most 1 bits')
    assert sorted(split.read_text().split()) == lines[:10] and 20 <= len(pseudo) <= 200
    assert f'{len(pseudo)} of 1432 others with pseudo-labels' in found.stdout
    result = transfer(tmp_path / 'second', SEMI, f'train_dataloader.dataset.split={again}', 'train_cfg.max_epochs=1')
    assert result.returncode == 0, result.stdout[-3000:]
    assert f'Self-training with {len(pseudo)} pseudo-labels beside 10 labelled images' in result.stdout


def test_a_list_of_images_without_labels(run, digits, tmp_path):
    made = run('tools/make_label_split.py', digits / 'train' / '3', '--percent', 1, '--out',
               tmp_path / 'split.txt')
    assert made.returncode == 1 and 'Traceback' not in made.stdout
    assert 'train/3 have no labels to be listed' in made.stdout.strip().splitlines()[-1]
    assert list(tmp_path.iterdir()) == []


def test_an_evaluation_without_a_checkpoint(transfer, tmp_path):
    result = transfer(tmp_path, LINEAR, start=())
    assert result.returncode == 1 and 'Traceback' not in result.stdout
    assert 'give it by --pretrained FILE' in result.stdout.strip().splitlines()[-1]


def test_a_list_of_other_images(transfer, tmp_path):
    split = tmp_path / 'split.txt'
    split.write_text('n01440764_10023.JPEG\n')
    result = transfer(tmp_path / 'work', SEMI, f'train_dataloader.dataset.split={split}')
    assert result.returncode == 1 and 'Traceback' not in result.stdout, result.stdout[-3000:]
    assert '1 of the 1 names in' in result.stdout.strip().splitlines()[-1]
