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
HOOKS = _child(mmengine_registry.HOOKS, 'clim_mm.hooks')
MODELS = _child(mmengine_registry.MODELS, 'clim_mm.models')
MODEL_WRAPPERS = _child(mmengine_registry.MODEL_WRAPPERS, 'clim_mm.distributed')
OPTIM_WRAPPERS = _child(mmengine_registry.OPTIM_WRAPPERS, 'clim_mm.hooks')
TRANSFORMS = _child(mmengine_registry.TRANSFORMS, 'clim_mm.datasets.transforms')
VISBACKENDS = _child(mmengine_registry.VISBACKENDS, 'clim_mm.hooks')
VISUALIZERS = _child(mmengine_registry.VISUALIZERS, 'clim_mm.visualization')

# Nothing is added to these; without them MMEngine warns that the scope lacks them.
DATA_SAMPLERS = _child(mmengine_registry.DATA_SAMPLERS, 'clim_mm.hooks')
EVALUATOR = _child(mmengine_registry.EVALUATOR, 'clim_mm.hooks')
LOG_PROCESSORS = _child(mmengine_registry.LOG_PROCESSORS, 'clim_mm.hooks')
LOOPS = _child(mmengine_registry.LOOPS, 'clim_mm.hooks')
METRICS = _child(mmengine_registry.METRICS, 'clim_mm.hooks')
OPTIMIZERS = _child(mmengine_registry.OPTIMIZERS, 'clim_mm.hooks')
OPTIM_WRAPPER_CONSTRUCTORS = _child(mmengine_registry.OPTIM_WRAPPER_CONSTRUCTORS, 'clim_mm.hooks')
PARAM_SCHEDULERS = _child(mmengine_registry.PARAM_SCHEDULERS, 'clim_mm.hooks')
RUNNERS = _child(mmengine_registry.RUNNERS, 'clim_mm.hooks')
WEIGHT_INITIALIZERS = _child(mmengine_registry.WEIGHT_INITIALIZERS, 'clim_mm.hooks')
