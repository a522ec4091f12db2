"""MMSelfSup's version gate, and the one place that deals with it.

MMSelfSup 1.0.0 and MMClassification 1.0.0rc6 assert ``mmcv < 2.1`` when they are imported. Those mmcv
releases do not compile against torch >= 2.1, while the two packages' code runs on today's mmcv: their own
tests pass there. The bound is checked at import only, so it is answered at import only.
"""

import warnings

import mmcv

from .errors import MissingDependencyError

_LAST_ADMITTED_MMCV = '2.0.1'

# mmcv without compiled operators warns when MMSelfSup's models are imported; none of them needs the operators.
warnings.filterwarnings('ignore', message='Fail to import ``MultiScaleDeformableAttention``')


def import_host() -> None:
    """Import mmcls and mmselfsup while mmcv reports the last version that they admit.

    Raises:
        MissingDependencyError: If one of the two is not installed, with the command that installs it.
    """
    installed = mmcv.__version__
    mmcv.__version__ = _LAST_ADMITTED_MMCV
    try:
        import mmcls  # noqa: F401
        import mmselfsup  # noqa: F401
    except ModuleNotFoundError as error:
        raise MissingDependencyError(f'{error.name} is missing: `pip install -r requirements/runtime.txt` installs '
                                     'the host framework with its versions.') from error
    finally:
        mmcv.__version__ = installed
