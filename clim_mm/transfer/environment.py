"""Whether MMDetection can run here, before anything of it is imported."""

from importlib.util import find_spec
from typing import Optional

from clim_mm.errors import MissingDependencyError

# Of the module, as it is imported, and of the package that has it.
_NEEDED = dict(mmdet='onedl-mmdetection', pycocotools='pycocotools')


def check_operators() -> None:
    """Check that mmcv has its compiled operators.

    Raises:
        MissingDependencyError: If it has none.
    """
    if find_spec('mmcv._ext') is None:
        raise MissingDependencyError(
            'MMDetection needs mmcv\'s compiled operators, and the installed mmcv has none (pip leaves them out where '
            'it sees no torch, and may hand out such a build again from its cache): build them with '
            '`bash tools/setup_det.sh`, or in another environment with `pip install "setuptools>=77,<81" wheel ninja '
            'psutil && CFLAGS=-g0 MAX_JOBS=2 pip install --no-build-isolation --no-cache-dir --force-reinstall '
            '--no-deps onedl-mmcv==2.3.6` (5 to 20 minutes on 2 cores).')


def check_scope(default_scope: Optional[str]) -> None:
    """Check that the modules of a config's scope can be imported: those of ``mmdet`` need the operators.

    Raises:
        MissingDependencyError: If it is ``mmdet``, and mmcv has none.
    """
    if default_scope == 'mmdet':
        check_operators()


def check_environment(lvis: bool = False) -> None:
    """Check that a detector can be built and evaluated.

    Args:
        lvis: Whether on LVIS.

    Raises:
        MissingDependencyError: If a package or mmcv's operators are missing.
    """
    for module, package in dict(_NEEDED, **dict(lvis='lvis') if lvis else {}).items():
        if find_spec(module) is None:
            raise MissingDependencyError(f'{package} is missing: `bash tools/setup_det.sh` installs what detection '
                                         'needs, or `pip install -r requirements/det.txt`.')
    check_operators()
