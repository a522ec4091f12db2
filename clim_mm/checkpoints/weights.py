"""Weights by name: compared with a model's, hashed, and searched for non-finite values."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from clim_mm.errors import ConfigError, some_of

_CLASSIFIER = 'backbone.fc.'  # that torchvision's ResNet has, or a head in its place: no features are taken behind it
COUNTER = 'num_batches_tracked'  # of batch normalisation: how often, not what; old checkpoints lack it


@dataclass(frozen=True)
class Fit:
    """Which names of weights a checkpoint and a model have in common."""

    matched: tuple[str, ...]
    missing: tuple[str, ...]  # only the model has them
    unexpected: tuple[str, ...]  # only the checkpoint has them
    reshaped: tuple[str, ...]  # with the two shapes

    @property
    def exact(self) -> bool:
        """Whether there is no difference."""
        return not (self.missing or self.unexpected or self.reshaped)

    def differences(self, most: int = 3) -> str:
        """The differences, to be quoted inside a sentence: how many of each kind, and the first names."""
        kinds = [(self.missing, 'missing'), (self.unexpected, 'unknown to the model'),
                 (self.reshaped, 'of another shape')]
        return '; '.join(f'{len(names)} {kind}: {some_of(names, most)}' for names, kind in kinds if names)


def weights_of(checkpoint: Mapping[str, Any]) -> dict[str, Any]:
    """The weights of a checkpoint, or of a bare state dict, by the names that they have without a model wrapper."""
    weights = checkpoint.get('state_dict', checkpoint)
    if not isinstance(weights, Mapping):
        raise ConfigError('The checkpoint\'s state_dict is not a dictionary of weights: give another checkpoint.')
    return {str(name).removeprefix('module.'): value for name, value in weights.items()}


def with_counters(weights: Mapping[str, torch.Tensor], own: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """A checkpoint's weights with a module's own batch counters, which old files lack and nothing needs."""
    return {**{name: own[name] for name in own if name.endswith(COUNTER)}, **weights}


def compare(saved: Mapping[str, Any], own: Mapping[str, Any]) -> Fit:
    """Compare the weights of a checkpoint (``weights_of``) with a model's ``state_dict()``, by name and shape."""
    reshaped = {name: f'{name} {_shape(saved[name])} instead of {_shape(own[name])}'
                for name in own if name in saved and _shape(saved[name]) != _shape(own[name])}
    return Fit(
        matched=tuple(name for name in own if name in saved and name not in reshaped),
        missing=tuple(name for name in own if name not in saved),
        unexpected=tuple(name for name in saved if name not in own),
        reshaped=tuple(reshaped.values()))


def check_start(fit: Fit, name: str) -> None:
    """Check that a model can start from a checkpoint's weights, although not all of them are its own.

    At least one must be the model's, and none of another shape. A module must take all of its weights or none, and the
    backbone all.
    """
    found, lacking = _modules(fit.matched), _modules(fit.missing)
    if fit.reshaped or not found or found & (lacking | _modules(fit.unexpected)) or 'backbone' in lacking:
        raise ConfigError(f'The weights of the {name} do not fit the model ({fit.differences()}): give weights of the '
                          'same architecture, or set the model as theirs was.')


def check_read(fit: Fit, modules: Sequence[str], checkpoint: str) -> dict[str, int]:
    """Check that modules whose output is used take all their weights from a checkpoint; their numbers of tensors.

    A checkpoint with more is refused too: a ResNet-101 has all that a ResNet-50 wants.
    """
    counts = {}
    for module in modules:
        part = Fit((), *(tuple(name for name in names if name.startswith(f'{module}.') and _counts(name))
                         for names in (fit.missing, fit.unexpected, fit.reshaped)))
        counts[module] = sum(name.startswith(f'{module}.') for name in fit.matched)
        if not part.exact or not counts[module]:
            known = part.differences() or f'it has {some_of(fit.unexpected, 3)}'
            raise ConfigError(f'{checkpoint} does not have all weights of the {module}, from which the features are '
                              f'taken, or more ({known}): give a checkpoint of this model, or a config with the model '
                              'of the checkpoint.')
    return counts


def changed(weights: Mapping[str, torch.Tensor], before: Mapping[str, torch.Tensor]) -> list[str]:
    """The names of the tensors that are not equal to those of the same names ``before``, on any device."""
    return [name for name, value in weights.items() if not torch.equal(value, before[name].to(value))]


def check_sound(oddities: Sequence[str], name: str) -> None:
    """Refuse a checkpoint that no training has saved like this; ``oddities`` say why, in a few words each."""
    if oddities:
        raise ConfigError(f'The {name} is not as a training saves it ({"; ".join(oddities)}): give another, such as '
                          'the one before it.')


def not_finite(name: str, values: Any) -> list[str]:
    """The tensors below ``values`` that hold NaN or infinity, in a few words if there are any."""
    broken = [path for path, tensor in _tensors(values)
              if tensor.is_floating_point() and not torch.isfinite(tensor).all()]
    return [f'{len(broken)} tensors of its {name} hold NaN or infinity: {some_of(broken, 3)}'] if broken else []


def weights_sha256(tensors: Mapping[str, torch.Tensor]) -> str:
    """SHA-256 of tensors, for each in the order of their names: name, type and shape on a line, then its values."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        values = tensors[name].detach().cpu().contiguous().numpy()
        little_endian = values.astype(values.dtype.newbyteorder('<'), copy=False)
        digest.update(f'{name} {values.dtype} {values.shape}\n'.encode())
        digest.update(little_endian.tobytes())
    return digest.hexdigest()


def _tensors(value: Any, path: str = '') -> Iterator[tuple[str, torch.Tensor]]:
    if isinstance(value, torch.Tensor):
        yield path, value
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _tensors(inner, f'{path}.{key}' if path else str(key))


def _modules(names: Sequence[str]) -> set[str]:
    """The model's parts that the weights are of."""
    return {name.partition('.')[0] for name in names if _counts(name)}


def _counts(name: str) -> bool:
    """Whether a network is another one with or without this weight."""
    return not name.endswith(COUNTER) and not name.startswith(_CLASSIFIER)


def _shape(value: Any) -> tuple[int, ...]:
    return tuple(getattr(value, 'shape', ()))  # a module's extra state may be anything
