"""Whether a study's evaluations are of the task that its pretrainings are for, before hours are trained."""

from mmengine.registry import init_default_scope

from clim_mm.checkpoints.normalization import check_normalization, normalization_in, normalization_of
from clim_mm.datasets.held_out import Listing, check_held_out, check_num_classes, check_top_k
from clim_mm.datasets.source import build_source
from clim_mm.errors import UserError
from clim_mm.evaluation.features import source_config

from .runs import config_of
from .study_file import Study


def check_premises(study: Study) -> None:
    """Check images and classes of the evaluations, and that they are normalised as in each row's pretraining.

    Raises:
        ConfigError, DataError: If they are not, of which row it is.
    """
    pretrainings = {row.name: config_of(row, study.options) for row in study.rows}
    trainings = {row.name: config_of(row, {}) for row in study.training}
    tasks = [(name, cfg, dict(source_config(cfg), **cfg.held_out)) for name, cfg in pretrainings.items()
             if study.frozen and 'held_out' in cfg]
    tasks += [(name, cfg, dict(cfg.val_dataloader.dataset)) for name, cfg in trainings.items()
              if cfg.get('val_dataloader')]
    looked_at = set()  # rows mostly have the same images
    for name, cfg, held_out in tasks:
        num_classes = (cfg.model.get('head') or {}).get('num_classes')
        if (task := f'{source_config(cfg)} {held_out} {num_classes}') in looked_at:
            continue
        looked_at.add(task)
        init_default_scope(cfg.get('default_scope', 'mmengine'))
        try:
            found, other = (Listing.of(build_source(dataset)) for dataset in (source_config(cfg), held_out))
            check_held_out(found, other, 'its held-out images')
            if num_classes is not None:
                check_num_classes(found, num_classes)
                check_top_k(cfg.get('val_evaluator'), num_classes)
        except UserError as error:
            raise type(error)(f'{name} of the study cannot be measured: {error}') from error
    for name, cfg in trainings.items():
        for row, pretraining in pretrainings.items():
            own, theirs = (normalization_in(dict(each.items())) or normalization_of({}) for each in (cfg, pretraining))
            check_normalization(own, theirs, f'{row}, which {name} evaluates,')
