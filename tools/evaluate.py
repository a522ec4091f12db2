"""Measure the frozen features of a pretraining checkpoint. The network is not trained.

    python tools/evaluate.py knn         CONFIG CHECKPOINT     weighted kNN on the held-out images
    python tools/evaluate.py probe       CONFIG CHECKPOINT     a linear classifier of scikit-learn's, for quick looks
    python tools/evaluate.py diagnostics CONFIG CHECKPOINT     similarity within classes, alignment, purity ...
    python tools/evaluate.py clusters    CONFIG CHECKPOINT     NMI, ARI and accuracy of k-means and of cluster heads
    python tools/evaluate.py figures     CONFIG CHECKPOINT     all of these
    python tools/evaluate.py tsne        CONFIG CHECKPOINT     a picture of ten classes (--seed 0 draws which)

CONFIG is the one that the checkpoint was pretrained with; its ``held_out`` says where the other images are. A ResNet of
MoCo, SwAV, DINO, torchvision, timm or solo-learn is measured as they publish it, by a CONFIG with the same backbone.
Beside the figures stands what was checked: whose weights and images these are.
"""

import argparse
import os.path as osp
from typing import Optional

import clim_mm  # noqa: F401  (makes `clim_mm::...` a known base, and limits pictures before cv2 is imported)

# isort: split
from clim_mm.checkpoints import write_atomically, write_json
from clim_mm.checks import check_choice, check_number, check_whole
from clim_mm.config_file import load_config
from clim_mm.evaluation import extract_settings, intra_class_similarity, knn_top1, probe_top1
from clim_mm.evaluation.clusterings import KMEANS, check_fitted, counts_of, match
from clim_mm.evaluation.features import has_labels, head_names
from clim_mm.evaluation.frozen_task import EMBEDDINGS, POOLED, FrozenTask, LabelledTask
from clim_mm.evaluation.measures import CLASSIFIERS, TEMPERATURE, VOTERS, check_classes, check_pairs, check_voters
from clim_mm.launch.commands import add_config_arguments, errors_in_a_sentence
from clim_mm.neighbors.defaults import neighbor_sizes
from clim_mm.visualization import choose_images, clusters_page, draw_confusion, draw_tsne
from clim_mm.visualization.figures import FEWEST_IMAGES, MOST_CLASSES, check_picture


def knn(task: LabelledTask, args: argparse.Namespace) -> dict[str, float]:
    """Weighted kNN."""
    return {f'knn_{args.k}_top1': knn_top1(*task.train_and_test(), k=args.k, temperature=args.temperature)}


def probe(task: LabelledTask, args: argparse.Namespace) -> dict[str, float]:
    """Logistic regression, or a linear SVM."""
    return dict(probe_top1=probe_top1(*task.train_and_test(), classifier=args.classifier))


def diagnostics(task: FrozenTask, args: argparse.Namespace) -> dict[str, float]:
    """All without training; without labels, what needs none."""
    if not isinstance(task, LabelledTask):
        return task.diagnose()
    return dict(intra_class_similarity=intra_class_similarity(task.test_features, task.test.labels),
                **task.diagnose(task.train.labels))


def clusters(task: LabelledTask, args: argparse.Namespace) -> dict[str, float]:
    """k-means and cluster heads against the classes; a picture and a page on request."""
    if args.out or args.page:
        labels = task.sought_labels
        name = shown_clustering(task, args.of)
        shown, title = task.clusterings[name], f'{name}, held-out images, {osp.basename(args.checkpoint)}'
        counts = counts_of(labels, shown.clusters, len(task.sought), shown.num_clusters)
        if args.out:
            draw_confusion(counts, match(counts), task.sought, args.out, title)
            print(f'The picture of {name} is {args.out}.')
        if args.page:
            page = clusters_page(
                task.test.views.dataset, shown.clusters, shown.num_clusters, shown.certainty, shown.certainty_name,
                labels, task.sought, f'Clusters by {title}', load=extract_settings(task.cfg)['pipeline'][:1])
            write_atomically(args.page, page.encode())
            print(f'The page of {name} is {args.page}.')
    return task.cluster_figures()


def shown_clustering(task: LabelledTask, name: Optional[str]) -> str:
    """The clustering in the picture and on the page: the one asked for, or the head with C clusters, or k-means."""
    names = [KMEANS, *head_names(task.model)]
    if name is not None:
        check_choice('--of', name, names)
        return name
    return next((head for head in names if head == f'head_{len(task.sought)}'), KMEANS)


def figures(task: FrozenTask, args: argparse.Namespace) -> dict[str, float]:
    """All figures; without labels, those of ``diagnostics``."""
    if not isinstance(task, LabelledTask):
        return diagnostics(task, args)
    return dict(knn(task, args), **probe(task, args), **diagnostics(task, args), **task.cluster_figures())


def tsne(task: LabelledTask, args: argparse.Namespace) -> dict[str, float]:
    """A picture."""
    chosen = choose_images(task.test.labels, args.classes, class_seed=args.seed)
    draw_tsne(task.test_features[chosen], task.test.labels[chosen], task.test.classes, args.out,
              title=f't-SNE of held-out images, {osp.basename(args.checkpoint)}')
    print(f'The picture is {args.out}.')
    return dict(images=len(chosen))


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description='Measure the frozen features of a pretraining checkpoint.')
    commands = parser.add_subparsers(dest='command', required=True)
    for run in (knn, probe, diagnostics, clusters, figures, tsne):
        command = commands.add_parser(run.__name__, help=(run.__doc__ or '').strip())
        command.set_defaults(run=run)
        add_config_arguments(command)
        command.add_argument('checkpoint', help='the checkpoint, as pretraining wrote it')
        command.add_argument('--json', metavar='FILE', help='write the figures there too, as JSON')
        if run in (knn, figures):
            command.add_argument('--k', type=int, default=VOTERS,
                                 help=f'voters (default: {VOTERS}; 200 is usual on ImageNet)')
            command.add_argument('--temperature', type=float, default=TEMPERATURE,
                                 help=f'of their weights (default: {TEMPERATURE})')
        if run in (probe, figures):
            command.add_argument('--classifier', choices=CLASSIFIERS, default='logistic',
                                 help='of the probe (default: logistic)')
        if run is clusters:
            command.add_argument('--out', metavar='FILE', help='draw which classes are in which clusters there')
            command.add_argument('--page', metavar='FILE', help='write an HTML page of the clusters there')
            command.add_argument('--of', metavar='NAME', help='the clustering that these show: kmeans, or a head\'s as '
                                 'in the figures (default: the head with as many clusters as classes, or kmeans)')
        if run is tsne:
            command.add_argument('--classes', type=int, default=10, help=f'1 to {MOST_CLASSES} (default: 10)')
            command.add_argument('--seed', type=int, help='draws the classes at random (default: the first ones)')
            command.add_argument('--out', default='tsne.png', help='the picture (default: tsne.png)')
    return parser.parse_args()


def check_arguments(args: argparse.Namespace) -> None:
    """What can be known before the features are taken, which may take hours."""
    if args.run in (knn, figures):
        check_whole('--k', args.k, least=1)
        check_number('--temperature', args.temperature, above=0)
    if args.run is clusters and args.out:
        check_picture('--out', args.out)
    if args.run is tsne:
        check_whole('--classes', args.classes, least=1, most=MOST_CLASSES)
        check_whole('--seed', args.seed, optional=True)
        check_picture('--out', args.out)


def check_images(task: LabelledTask, args: argparse.Namespace) -> None:
    """Whether the images are such that the figures exist: likewise before the features are taken."""
    train, test = task.train.labels, task.test.labels
    if args.run in (knn, figures):
        check_voters(args.k, len(train))
    if args.run in (knn, probe, clusters, figures):
        check_classes(train)
    if args.run in (clusters, figures):
        check_fitted(len(task.sought), len(train))
    if args.run is clusters:
        shown_clustering(task, args.of)
    if args.run in (diagnostics, figures):
        check_pairs(test)
        neighbor_sizes(len(train))
    if args.run is tsne:
        check_whole('The number of images of t-SNE', len(choose_images(test, args.classes, class_seed=args.seed)),
                    least=FEWEST_IMAGES)


def main() -> None:
    args = parse_args()
    with errors_in_a_sentence():
        check_arguments(args)
        cfg = load_config(args.config, args.work_dir, args.amp, args.cfg_options)
        reads = [POOLED, *([EMBEDDINGS] if args.run in (diagnostics, figures) else [])]
        kind = FrozenTask if args.run in (diagnostics, figures) and not has_labels(cfg) else LabelledTask
        task = kind(cfg, args.checkpoint, reads, assigns=args.run in (clusters, figures))
        if isinstance(task, LabelledTask):
            check_images(task, args)
        else:
            task.premises.append('The images have no labels: what needs some is left out.')
        print('\n  '.join(['premises:', *task.premises]))
        found = args.run(task, args)
        for name, value in found.items():
            print(f'{name:28}{value:>10.4f}' if isinstance(value, float) else f'{name:28}{value:>10}')
        if args.json:
            content = dict(found, premises=task.premises)
            write_json(args.json, content)


if __name__ == '__main__':
    main()
