"""The verbs of ``clim-mm``, and how each is started."""

import os.path as osp
import sys
from importlib import import_module
from typing import Optional

import clim_mm
from clim_mm.checks import suggestion

# By name what is said of them. Those with a module are written for folders of images, the others are tools.
VERBS = {
    'pretrain': 'train an encoder on a folder of images, in the hours that you give',
    'report': 'make the report of a pretraining anew',
    'embed': 'vectors, clusters and nearest neighbours of a folder of images, as a table',
    'duplicates': 'groups of near-duplicates in a folder of images, as a page and a table',
    'export': 'write a pretrained backbone for torchvision, timm, Hugging Face and others',
    'train': 'train by a config',
    'evaluate': 'measure the frozen features of a checkpoint: kNN, probe, clusters, figures without labels',
    'browse': 'a page of the positives that a checkpoint draws from',
    'preflight': 'what a training by a config will take, and what looks wrong',
    'study': 'train and compare several configs with several seeds',
}
_TOOLS = dict(export='export', train='train', evaluate='evaluate', browse='browse_neighbors', preflight='preflight',
              study='study')
_USAGE = """usage: clim-mm VERB ...

Pretrain image encoders without labels, and see what they have learned.

{verbs}

clim-mm VERB --help tells the rest. Version {version}."""


def usage() -> str:
    """What ``clim-mm --help`` prints."""
    verbs = '\n'.join(f'  {name:12}{said}' for name, said in VERBS.items())
    return _USAGE.format(verbs=verbs, version=clim_mm.__version__)


def main() -> None:
    """Start the verb that the command line names."""
    verb: Optional[str] = sys.argv[1] if len(sys.argv) > 1 else None
    if verb in (None, '-h', '--help'):
        print(usage())
        sys.exit(0 if verb else 2)
    if verb == '--version':
        print(clim_mm.__version__)
        return
    if verb not in VERBS:
        sys.exit(f'Error: {verb!r} is no verb of clim-mm{suggestion(str(verb), VERBS)}: clim-mm --help lists them.')
    sys.argv = [f'clim-mm {verb}', *sys.argv[2:]]
    if verb in _TOOLS:  # by the name of its file
        sys.path.insert(0, osp.join(osp.dirname(clim_mm.__file__), '.mim', 'tools'))
        import_module(_TOOLS[verb]).main()
    else:
        import_module(f'clim_mm.cli.{verb}').main()
