"""``tools/train.py`` of a checkout, with every logged figure and the final weights written down to the last bit.

Takes the arguments of ``tools/train.py``; ``RECORD_TREE`` is the checkout, ``RECORD_OUT`` the JSON file, to whose name
the rank is added. Started by ``compare.py``.
"""

import hashlib
import json
import os
import runpy
import sys
from pathlib import Path

import clim_mm  # first: it limits what cv2 and MMSelfSup do as they are imported

# isort: split
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner

TREE, OUT = Path(os.environ['RECORD_TREE']).resolve(), os.environ['RECORD_OUT']


class Recorder(Hook):
    """Writes down all figures of the message hub after each iteration, and the weights at the end."""

    priority = 'LOWEST'

    def __init__(self):
        self.figures = {}

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):  # noqa: D102
        for name, history in runner.message_hub.log_scalars.items():
            self.figures.setdefault(name, []).append(float(history.current()))

    def after_train(self, runner):  # noqa: D102
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        weights = {name: [hashlib.sha256(value.cpu().numpy().tobytes()).hexdigest(), float(value.double().norm())]
                   for name, value in model.state_dict().items()}
        text = json.dumps(dict(figures=self.figures, weights=weights))  # the repr of a float is exact
        Path(f'{OUT}.{os.environ.get("RANK", 0)}').write_text(text)


def main():
    assert Path(clim_mm.__file__).resolve().is_relative_to(TREE), f'{clim_mm.__file__} is not in {TREE}'
    plain = Runner.train

    def train(self):
        self.register_hook(Recorder())
        return plain(self)

    Runner.train = train
    sys.argv[0] = str(TREE / 'tools/train.py')
    sys.path[0] = str(TREE / 'tools')
    runpy.run_path(sys.argv[0], run_name='__main__')


if __name__ == '__main__':
    main()
