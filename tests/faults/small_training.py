"""A training of seconds, as tools/train.py runs it, in processes that can be killed."""

import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Optional, Union

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / 'tests'), str(ROOT / 'tools')]

from forked import ForkedProgram  # noqa: E402
from prepare_digits import write_digits  # noqa: E402

CONFIG = ROOT / 'tests' / 'faults' / 'clim_small_digits.py'


def write_images(folder: Path, per_class: int = 10) -> Path:
    """The first digits of each class, in ``folder``; gives the folder."""
    write_digits(str(folder.with_name('all_digits')))
    for source in sorted((folder.with_name('all_digits') / 'train').iterdir()):
        (folder / source.name).mkdir(parents=True, exist_ok=True)
        for file in sorted(source.iterdir())[:per_class]:
            shutil.copy(file, folder / source.name)
    return folder


class Training(ForkedProgram):
    """``tools/train.py`` on the small config, in one process or several, started anew or resumed.

    Args:
        images: The folder of images; None for what the config says.
        work_dir: Where log and checkpoints go.
        processes: How many.
        resume: Go on from the latest checkpoint, or from this file.
        options: Further ``--cfg-options``.
        config: Another config.
    """

    def __init__(self, images: Optional[Path], work_dir: Path, processes: int = 1, resume: Union[bool, Path] = False,
                 options: Sequence[str] = (), config: Path = CONFIG) -> None:
        arguments = [str(config), '--work-dir', str(work_dir), '--launcher', 'pytorch' if processes > 1 else 'none']
        if resume:
            arguments += ['--resume', *([str(resume)] if isinstance(resume, Path) else [])]
        if images is not None:
            options = [f'train_dataloader.dataset.dataset.data_root={images.parent}',
                       f'train_dataloader.dataset.dataset.data_prefix={images.name}', *options]
        arguments += ['--cfg-options', *options] if options else []
        self.work_dir = work_dir
        super().__init__('tools/train.py', arguments, work_dir.with_suffix('.out'), processes)
