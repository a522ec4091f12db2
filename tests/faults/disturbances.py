"""What happens to trainings from outside.

Each disturbance starts a training, disturbs it, and resumes it where it has ended. What it raises is a fault, as is an
end that is not that of an undisturbed training.
"""

import os
import random
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import torch
from shell_training import ShellTraining
from small_training import CONFIG, ROOT

_ERROR = re.compile(r'^Error: (.+)$', re.M)
HOW_TO_GO_ON = 'how to go on'  # by whatever checkpoint there is, or none
_ENDING = 60.0  # seconds in which all processes of a training must be gone


@dataclass
class Scene:
    """A training that is to be disturbed.

    Attributes:
        images: Its folder of images.
        work_dir: Its work dir.
        rng: Chooses moments.
        processes: How many.
        sentences: With which its trainings have ended.
    """

    images: Path
    work_dir: Path
    rng: random.Random
    processes: int = 1
    sentences: list[str] = field(default_factory=list)

    def start(self, *arguments: str, **more) -> ShellTraining:
        """Start it, or with ``--resume`` go on."""
        return ShellTraining(self.images, self.work_dir, self.processes, arguments, **more)

    def moment(self, training: ShellTraining) -> Callable[[], bool]:
        """True from a random moment on, after the first log line."""
        delay = self.rng.uniform(0, 4)
        begun: list[float] = []

        def come() -> bool:
            if not begun and 'Epoch(train)' in training.text:
                begun.append(time.monotonic())
            return bool(begun) and time.monotonic() > begun[0] + delay

        return come

    def ends_in_a_sentence(self, training: ShellTraining, statuses: tuple[int, ...], words: str = '') -> None:
        """Check the end of a training that could not go on, and that nothing of it is left.

        Raises:
            RuntimeError: If it ended otherwise.
        """
        status = training.wait()
        end = time.monotonic() + _ENDING
        while training.alive() and time.monotonic() < end:
            time.sleep(0.1)
        text = training.text
        if left := training.alive():
            training.kill()
            raise RuntimeError(f'{len(left)} processes are left after {_ENDING:.0f} s:\n{text[-2000:]}')
        said = _ERROR.findall(text)
        if words is HOW_TO_GO_ON:
            words = '--resume' if self.has_checkpoint() else 'begins anew'
        if status not in statuses or not said or words not in ' '.join(said):
            raise RuntimeError(f'status {status}, not one of {statuses} and a sentence with {words!r}:\n{text[-2000:]}')
        self.sentences.append(said[-1])

    def has_checkpoint(self) -> bool:
        """Whether one is there."""
        return any(self.work_dir.glob('epoch_*.pth'))

    def goes_on(self, **more) -> None:
        """Resume it until it ends well.

        Raises:
            RuntimeError: If it does not.
        """
        training = self.start('--resume', **more)
        if status := training.wait():
            raise RuntimeError(f'resumed, it ends with status {status}:\n{training.text[-2000:]}')


def launcher_killed(scene: Scene) -> None:
    """SIGKILL to torchrun: its ranks end, and leave the folder to whoever resumes."""
    scene.processes = 2
    training = scene.start()
    if training.wait(scene.moment(training)) is None:
        training.signal(signal.SIGKILL)
        scene.ends_in_a_sentence(training, (-signal.SIGKILL, ), 'is gone')
    scene.goes_on()


def process_killed(scene: Scene) -> None:
    """SIGKILL to one of two ranks."""
    scene.processes = 2
    training = scene.start()
    if training.wait(scene.moment(training)) is None:
        os.kill(scene.rng.choice(training.children()), signal.SIGKILL)
        scene.ends_in_a_sentence(training, (1, 128 + signal.SIGKILL))
    scene.goes_on()


def worker_stopped(scene: Scene) -> None:
    """A DataLoader worker stands still for seconds, as on a dead network file system, and goes on."""
    training = scene.start()
    if training.wait(scene.moment(training)) is None:
        workers = training.children()
        for pid in workers:
            os.kill(pid, signal.SIGSTOP)
        end = time.monotonic() + 3
        training.wait(lambda: time.monotonic() > end)
        for pid in workers:
            os.kill(pid, signal.SIGCONT)
    if status := training.wait():
        raise RuntimeError(f'ended with status {status}:\n{training.text[-2000:]}')


def worker_killed(scene: Scene) -> None:
    """SIGKILL to a DataLoader worker, as by the kernel when memory is short."""
    training = scene.start()
    while training.wait(scene.moment(training)) is None and not training.children():
        time.sleep(0.01)
    if training.wait(lambda: True) is None and (workers := training.children()):
        os.kill(scene.rng.choice(workers), signal.SIGKILL)
        scene.ends_in_a_sentence(training, (1, ), HOW_TO_GO_ON)
    scene.goes_on()


def interrupted(scene: Scene) -> None:
    """SIGINT, SIGTERM or SIGHUP, as by a user, Slurm, or a terminal that is closed."""
    number = scene.rng.choice([signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
    training = scene.start()
    if training.wait(scene.moment(training)) is None:
        training.signal(number)
        scene.ends_in_a_sentence(training, (128 + number, -number), HOW_TO_GO_ON)
    scene.goes_on()


def two_writers(scene: Scene) -> None:
    """A second training in the same folder, started anew or resumed: it ends, and the first knows nothing of it."""
    training = scene.start()
    if training.wait(scene.moment(training)) is None:
        training.signal(signal.SIGSTOP)  # or it might have ended before the second looks
        second = scene.start(*scene.rng.choice([(), ('--resume', )]), output=scene.work_dir.with_suffix('.second'))
        try:
            scene.ends_in_a_sentence(second, (1, ), '--work-dir')
        finally:
            training.signal(signal.SIGCONT)
    if status := training.wait():
        raise RuntimeError(f'the first ended with status {status}:\n{training.text[-2000:]}')


def older_run(scene: Scene) -> None:
    """A new run where a finished one lies: resumed, the new one goes on."""
    before = scene.start(options=('randomness.seed=5', ))
    if before.wait():
        raise RuntimeError(f'the older run:\n{before.text[-2000:]}')
    training = scene.start()
    newest = scene.work_dir / f'epoch_{scene.rng.randint(1, 4)}.pth'
    begun = time.time()
    if training.wait(lambda: newest.exists() and newest.stat().st_mtime > begun) is None:
        training.kill()
    scene.goes_on()


def full_disk(scene: Scene) -> None:
    """A disk on which there is room for a part of what the run writes: a sentence, or a warning and the whole run."""
    scene.work_dir.mkdir()
    size = scene.rng.randint(20, 3000)
    _call('mount', '-t', 'tmpfs', '-o', f'size={size}k', 'none', str(scene.work_dir))
    training = scene.start()
    if training.wait() != 0:
        scene.ends_in_a_sentence(training, (1, ), 'room')
    _call('mount', '-o', 'remount,size=1g', str(scene.work_dir))
    scene.goes_on()


def small_shared_memory(scene: Scene) -> None:
    """/dev/shm as small as in a container: a sentence with the remedy."""
    _call('mount', '-t', 'tmpfs', '-o', f'size={scene.rng.choice([16, 64, 256])}k', 'none', '/dev/shm')
    try:
        training = scene.start()
        if training.wait() != 0:
            scene.ends_in_a_sentence(training, (1, ), '--shm-size')
    finally:
        _call('umount', '--lazy', '/dev/shm')  # what was killed may hold it for a moment
    scene.goes_on()


def few_descriptors(scene: Scene) -> None:
    """1,024 descriptors, the usual bound, are enough; 40 end in a sentence, at the latest when no batch comes."""
    most = scene.rng.choice([40, 64, 1024])
    training = scene.start(before=f'ulimit -n {most} && export CLIM_LOADER_PATIENCE=4')
    if training.wait() != 0:
        if most == 1024:
            raise RuntimeError(f'1,024 descriptors are too few:\n{training.text[-2000:]}')
        scene.ends_in_a_sentence(training, (1, ))
    scene.goes_on()


def copied_folder(scene: Scene) -> None:
    """A work dir that was copied while its run lived, and is resumed elsewhere."""
    training = scene.start()
    if training.wait(scene.moment(training)) is None:
        shutil.copytree(scene.work_dir, f'{scene.work_dir}.copy', ignore_dangling_symlinks=True)
        training.kill()
        shutil.rmtree(scene.work_dir)
        os.rename(f'{scene.work_dir}.copy', scene.work_dir)
    scene.goes_on()


def transient_errors(scene: Scene) -> None:
    """Reads fail now and then, as on a network file system: the run is the same, and no image is lost."""
    settings = ('backend=flaky', f'every={scene.rng.randint(20, 60)}')
    loads = ('train_dataloader.dataset.pipeline.0.load.0', 'extract.pipeline.0')
    config = scene.work_dir.with_suffix('.py')
    config.write_text(f'_base_ = {str(CONFIG)!r}\ncustom_imports = dict(imports=["clim_mm", "flaky_storage"])\n')
    training = scene.start(
        before=f'export PYTHONPATH={ROOT}/tests:$PYTHONPATH', config=config,
        options=[f'{load}.backend_args.{setting}' for load in loads for setting in settings])
    if status := training.wait():
        raise RuntimeError(f'ended with status {status}:\n{training.text[-2000:]}')
    if (scene.work_dir / 'quarantine.txt').exists():
        raise RuntimeError(f'sound images are in the quarantine:\n{training.text[-2000:]}')


def foreign_checkpoint(scene: Scene) -> None:
    """A file of another network, of a higher number, lies beside the run's: it is passed over."""
    training = scene.start()
    come = scene.moment(training)
    if training.wait(lambda: come() and scene.has_checkpoint()) is None:
        training.kill()
        torch.save(dict(state_dict={'conv1.weight': torch.zeros(4)}, meta=dict(epoch=99, iter=9999)),
                   scene.work_dir / 'epoch_99.pth')
    scene.goes_on()


def _call(*words: str) -> None:
    subprocess.run(words, check=True)


ALL = (launcher_killed, process_killed, worker_stopped, worker_killed, interrupted, two_writers, older_run, full_disk,
       small_shared_memory, few_descriptors, copied_folder, transient_errors, foreign_checkpoint)
MOUNTING = {'full_disk', 'small_shared_memory'}  # they need to be root
