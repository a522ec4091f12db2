"""The scripts that start several processes: their ports, and what is left of a training whose torchrun is gone."""

import os
import signal
import socket
import subprocess
import sys

import pytest
from processes import is_running, running, wait_until, with_descendants
from trained import IN1K, ROOT, SMALL

pytestmark = pytest.mark.e2e

HANGS = 120  # seconds after which a process counts as hanging


@pytest.fixture
def begin(imagenet_like):
    """Start tools/dist_train.sh as a user does, and leave it running: ``begin(work_dir, epochs)``."""
    begun = []

    def begin_training(work_dir, epochs):
        with work_dir.with_suffix('.txt').open('w') as output:
            begun.append(subprocess.Popen(
                ['bash', 'tools/dist_train.sh', IN1K, '2', '--work-dir', work_dir, '--cfg-options', *SMALL,
                 f'train_dataloader.dataset.dataset.data_root={imagenet_like}', f'train_cfg.max_epochs={epochs}'],
                cwd=ROOT, env=dict(os.environ, OMP_NUM_THREADS='1', PYTHON=sys.executable), stdout=output,
                stderr=subprocess.STDOUT))
        return begun[-1]

    yield begin_training
    for process in begun:
        for pid in filter(is_running, with_descendants(process.pid)):
            os.kill(pid, signal.SIGKILL)
        process.wait()


def test_two_trainings_at_once_of_which_one_loses_its_torchrun(begin, tmp_path):
    lost, other = begin(tmp_path / 'lost', 500), begin(tmp_path / 'other', 2)
    wait_until(lambda: (tmp_path / 'lost/epoch_1.pth').exists() or lost.poll() is not None, seconds=300)
    assert (tmp_path / 'lost/epoch_1.pth').exists(), (tmp_path / 'lost.txt').read_text()[-3000:]
    lost.kill()
    lost.wait()
    wait_until(lambda: not running(str(tmp_path / 'lost')), seconds=HANGS)
    said = f'Process {lost.pid}, which has started this one, is gone'
    assert said in (tmp_path / 'lost.txt').read_text()
    (log, ) = (tmp_path / 'lost').glob('*/*.log')
    assert said in log.read_text()
    assert other.wait(HANGS) == 0, (tmp_path / 'other.txt').read_text()[-3000:]


def test_a_port_that_is_taken_or_is_none_is_told_in_a_sentence(shell):
    with socket.create_server(('', 0)) as server:
        for port in (server.getsockname()[1], 'abc', 70000):
            for machines in ('1', '2'):
                ended = shell('bash', 'tools/dist_train.sh', IN1K, 1, PORT=str(port), NNODES=machines)
                (told, ) = ended.stdout.splitlines()
                assert ended.returncode == 1 and told.startswith('Error: The processes cannot meet at port ')
                assert f'port {port} of this machine (' in told and told.endswith(
                    ': set PORT to a free one, the same on every machine.')


def test_a_port_that_is_taken_meanwhile(shell):
    with socket.create_server(('', 0)) as server:  # after the script has looked
        ended = shell(sys.executable, '-m', 'clim_mm.launch.ranks', '--master_addr=127.0.0.1',
                      f'--master_port={server.getsockname()[1]}', '--nproc_per_node=1', 'tools/train.py', IN1K)
    assert ended.returncode == 1 and 'Traceback' not in ended.stdout
    assert ended.stdout.startswith('Error: Another program has the port, such as a second training (')


@pytest.fixture
def slurm(shell, tmp_path):
    """Run tools/slurm_train.sh where srun starts one task, which prints where it would meet the others."""
    for name, script in dict(
            srun='until [ "$1" = bash ]; do shift; done; exec "$@"', scontrol='echo host0; echo host1',
            python='echo "$MASTER_ADDR:$MASTER_PORT"').items():
        (tmp_path / name).write_text(f'#!/usr/bin/env bash\n{script}\n')
        (tmp_path / name).chmod(0o755)
    variables = dict(PATH=f'{tmp_path}:{os.environ["PATH"]}', PYTHON=str(tmp_path / 'python'),
                     SLURM_JOB_NODELIST='host[0-1]')
    command = ['bash', 'tools/slurm_train.sh', 'partition', 'name', IN1K]
    return lambda **more: shell(*command, **variables, **more).stdout.strip()


def test_jobs_and_steps_of_slurm_meet_at_ports_of_their_own(slurm):
    steps = [dict(SLURM_JOB_ID=job, SLURM_STEP_ID=step) for job in ('70012345', '70012346') for step in ('0', '1')]
    places = [slurm(**step).split(':') for step in steps]
    assert {host for host, _ in places} == {'host0'} and len({port for _, port in places}) == 4
    assert all(10000 <= int(port) < 30000 for _, port in places)
    assert slurm(**steps[0], PORT='29500', MASTER_ADDR='host7') == 'host7:29500'
