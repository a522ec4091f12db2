"""The registries of scope ``clim_mm``, each a child of MMEngine's.

MMSelfSup's own cannot be the parents: its runner and loop registries point at a module that does not exist.
Its parts are named in configs with their scope, as in ``mmselfsup.ResNet``.
"""

from mmengine import registry as mmengine_registry
from mmengine.registry import Registry


def _child(parent: Registry, *locations: str) -> Registry:
    return Registry(parent.name, parent=parent, scope='clim_mm', locations=list(locations))


DATASETS = _child(mmengine_registry.DATASETS, 'clim_mm.datasets')
FUNCTIONS = _child(mmengine_registry.FUNCTIONS, 'clim_mm.datasets')
HOOKS = _child(mmengine_registry.HOOKS, 'clim_mm.hooks.all_hooks')
MODELS = _child(mmengine_registry.MODELS, 'clim_mm.models')
MODEL_WRAPPERS = _child(mmengine_registry.MODEL_WRAPPERS, 'clim_mm.distributed')
OPTIM_WRAPPERS = _child(mmengine_registry.OPTIM_WRAPPERS, 'clim_mm.bf16_optim_wrapper')
TRANSFORMS = _child(mmengine_registry.TRANSFORMS, 'clim_mm.datasets.transforms')
VISBACKENDS = _child(mmengine_registry.VISBACKENDS, 'clim_mm.checkpoints.atomic_write')
VISUALIZERS = _child(mmengine_registry.VISUALIZERS, 'clim_mm.visualization')

# Nothing is added to these; without them MMEngine warns that the scope lacks them.
for _name in ('DATA_SAMPLERS', 'EVALUATOR', 'LOG_PROCESSORS', 'LOOPS', 'METRICS', 'OPTIMIZERS',
              'OPTIM_WRAPPER_CONSTRUCTORS', 'PARAM_SCHEDULERS', 'RUNNERS', 'WEIGHT_INITIALIZERS'):
    _child(getattr(mmengine_registry, _name), 'clim_mm.hooks')
