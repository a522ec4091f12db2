"""Label images by a fine-tuned network where it is sure, for self-training: a second fine-tuning with more images.

    python tools/pseudo_labels.py CONFIG CHECKPOINT --max-entropy 0.5 --out data/imagenet/10percent-selftraining.txt

CONFIG is a semi-supervised one, CHECKPOINT what its training wrote. OUT lists the labelled images of its split and,
with the predicted labels, all others whose softmax has at most so many bits of entropy. A training with this list says
that it is self-training: its accuracy is not comparable with plain fine-tuning.
"""

import argparse
import os.path as osp

import clim_mm  # noqa: F401  (makes `clim_mm::...` a known base, and limits pictures before cv2 is imported)

# isort: split
import numpy as np
from mmengine.registry import init_default_scope

from clim_mm.checkpoints import write_atomically
from clim_mm.checks import check_number, check_whole
from clim_mm.config_file import load_config
from clim_mm.datasets.image_lists import LabelSplit, as_list
from clim_mm.errors import ConfigError
from clim_mm.evaluation.pseudo_labels import classified, confident, whole_of
from clim_mm.launch.commands import add_config_arguments, errors_in_a_sentence
from clim_mm.registry import DATASETS


def main() -> None:
    parser = argparse.ArgumentParser(description='Label images by a fine-tuned network where it is sure.')
    add_config_arguments(parser)
    parser.add_argument('checkpoint', help='what the semi-supervised training wrote')
    parser.add_argument('--max-entropy', type=float, required=True, help='of the softmax, in bits')
    parser.add_argument('--most-per-class', type=int, help='the surest of each predicted class (default: all)')
    parser.add_argument('--out', required=True, help='the list')
    args = parser.parse_args()
    with errors_in_a_sentence():
        check_number('--max-entropy', args.max_entropy, least=0)
        check_whole('--most-per-class', args.most_per_class, least=1, optional=True)
        cfg = load_config(args.config, args.work_dir, args.amp, args.cfg_options)
        init_default_scope(cfg.default_scope)
        settings = cfg.train_dataloader.dataset
        split = DATASETS.build(settings)
        if not isinstance(split, LabelSplit):
            raise ConfigError(f'{args.config} trains on all labels: give a semi-supervised config, with a LabelSplit.')
        if osp.realpath(args.out) == osp.realpath(split.split):
            raise ConfigError('--out is the split itself, which would be lost: give another file.')
        whole = whole_of(settings)
        paths = [osp.relpath(whole.get_data_info(i)['img_path'], whole.img_prefix) for i in range(len(whole))]
        labelled = {osp.relpath(info['img_path'], whole.img_prefix)
                    for info in map(split.get_data_info, range(len(split))) if not info.get('is_pseudo')}
        unlabelled = np.array([i for i, path in enumerate(paths) if path not in labelled], dtype=np.int64)
        if not len(unlabelled):
            raise ConfigError(f'{split.split} names every image in {whole.img_prefix}: no image is left to label.')
        entropies, predicted = classified(cfg, args.checkpoint, whole, unlabelled)
        kept = confident(entropies, predicted, args.max_entropy, args.most_per_class)
        if not len(kept):
            raise ConfigError(f'No image has at most {args.max_entropy:g} bits of entropy, the least is '
                              f'{np.nanmin(entropies):.3g}: raise --max-entropy.')
        lines = sorted(labelled) + [f'{paths[i]}\t{predicted[i]}' for i in kept]
        comment = (f'self-training: {len(kept)} pseudo-labels by {osp.basename(args.checkpoint)}, at most '
                   f'{args.max_entropy:g} bits of entropy')
        write_atomically(args.out, as_list(lines, comment))
        own = np.array([whole.get_data_info(int(i))['gt_label'] for i in kept])
        known = own >= 0  # not those of an unlabelled part
        right = f', of which {(own == predicted[kept])[known].mean():.1%} are right' if known.any() else ''
        print(f'{args.out}: {len(labelled)} labelled images, and {len(kept)} of {len(unlabelled)} others with '
              f'pseudo-labels{right}.')


if __name__ == '__main__':
    main()
