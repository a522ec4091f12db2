"""Whether MMDetection can run here, before anything of it is imported."""

from importlib.util import find_spec
from typing import Optional

from clim_mm.errors import MissingDependencyError

_PACKAGES = dict(mmdet='onedl-mmdetection', pycocotools='pycocotools', lvis='lvis')  # by the modules' names


def check_scope(default_scope: Optional[str]) -> None:
    """Check that the modules of a config's scope can be imported: those of ``mmdet`` need mmcv's compiled operators."""
    if default_scope == 'mmdet' and find_spec('mmcv._ext') is None:
        raise MissingDependencyError(
            'MMDetection needs mmcv\'s compiled operators, and the installed mmcv has none (pip leaves them out where '
            'it sees no torch, and may hand out such a build again from its cache): build them with '
            '`bash tools/setup_det.sh`, or in another environment with `pip install "setuptools>=77,<81" wheel ninja '
            'psutil && CFLAGS=-g0 MAX_JOBS=2 pip install --no-build-isolation --no-cache-dir --force-reinstall '
            '--no-deps onedl-mmcv==2.3.6` (5 to 20 minutes on 2 cores).')


def check_detection_packages(lvis: bool = False) -> None:
    """Check that a detector can be built and evaluated, on LVIS if ``lvis``."""
    for module, package in _PACKAGES.items():
        if find_spec(module) is None and (lvis or module != 'lvis'):
            raise MissingDependencyError(f'{package} is missing: `bash tools/setup_det.sh` installs what detection '
                                         'needs, or `pip install -r requirements/det.txt`.')
    check_scope('mmdet')
