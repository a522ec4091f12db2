"""Whether a checkpoint is that of a whole detector, before it is evaluated."""

from mmengine.config import Config
from mmengine.registry import MODELS, DefaultScope
from mmengine.runner import CheckpointLoader

from clim_mm.checkpoints.weights import compare, weights_of
from clim_mm.errors import ConfigError


def check_trained(cfg: Config, checkpoint: str) -> None:
    """Check that a checkpoint has every weight of a config's detector; MMEngine would evaluate the rest at random.

    Args:
        cfg: Of the detector.
        checkpoint: A file.

    Raises:
        CheckpointError: If it cannot be read.
        ConfigError: If it is of another detector, or of none.
    """
    weights = weights_of(CheckpointLoader.load_checkpoint(checkpoint, map_location='cpu'))
    with DefaultScope.overwrite_default_scope('mmdet'):
        fit = compare(weights, MODELS.build(cfg.model).state_dict())
    if not fit.exact:
        raise ConfigError(f'{checkpoint} is not a checkpoint of this config\'s detector ({fit.differences()}): give '
                          'one that tools/benchmarks/dist_train_det.sh has written with it.')
