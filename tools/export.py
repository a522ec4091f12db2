"""Write the backbone of a pretraining checkpoint as another library reads it.

    python tools/export.py CHECKPOINT --to torchvision --out resnet50_clim.pth
    python tools/export.py CHECKPOINT --to timm        --out resnet50_clim_timm.pth
    python tools/export.py CHECKPOINT --to detectron2  --out resnet50_clim_d2.pth
    python tools/export.py CHECKPOINT --to mmdet       --out resnet50_clim_mmdet.pth
    python tools/export.py CHECKPOINT --to huggingface --out resnet50_clim/
    python tools/export.py CHECKPOINT --to torch       --out clim.pt2         # any backbone, with its computation

Before a file takes its name, the library's own network loads it, and must give what the original gives for random
images.
"""

import argparse

import clim_mm  # noqa: F401  (opens the host's version gate)

# isort: split
from clim_mm.export import FORMATS, Exported, export
from clim_mm.launch.commands import errors_in_a_sentence


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description='Write the backbone of a pretraining checkpoint for another library.')
    parser.add_argument('checkpoint', help='the checkpoint, as pretraining wrote it')
    parser.add_argument('--to', required=True, choices=FORMATS, help='the library')
    parser.add_argument('--out', required=True, metavar='FILE', help='the file; for huggingface a folder')
    parser.add_argument('--force', action='store_true', help='replace an export that is there')
    return parser.parse_args()


def report(args: argparse.Namespace, exported: Exported) -> str:
    """What was exported, in lines."""
    header = exported.header
    wanted, parity = header['input'], header['parity']
    mean, std = (', '.join(f'{number:g}' for number in wanted[name]) for name in ('mean', 'std'))
    size = f', views of {wanted["size"]} pixels' if wanted['size'] else ''
    return '\n'.join([
        f'{args.out}: {header["architecture"]} for {args.to}, {exported.num_tensors} tensors',
        f'  features against {parity["against"]}: largest difference {exported.difference:.1e}, '
        f'at most {parity["most"]:.0e}',
        f'  input {wanted["channel_order"]}{size}, mean {mean}, std {std}, for pixels from 0 to 255',
        f'  from {header["config"]["name"]}, {header["epochs"]} epochs, {header["date"]}',
        f'  SHA-256 of the weights {header["weights_sha256"]}',
        f'  SHA-256 of the checkpoint {header["checkpoint_sha256"]}',
    ])


def main() -> None:
    args = parse_args()
    with errors_in_a_sentence():
        print(report(args, export(args.checkpoint, args.to, args.out, args.force)))


if __name__ == '__main__':
    main()
