"""Two torchrun agents stand for two machines; one of them dies, and the run goes on with the other alone."""

import os
import signal
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest
from processes import running, wait_until, with_descendants

pytestmark = pytest.mark.e2e

EPOCHS = 500  # more than are trained before the machine dies
PATIENCE = 8  # seconds that a machine may be silent
HANGS = 120  # seconds after which a process counts as hanging
REMEDY = 'goes on from its last checkpoint when it is started again with --resume, on fewer machines if need be.'


@pytest.fixture
def machines(train, free_port, tmp_path):
    """Two machines that train, one process on each, and are now beyond the first epoch."""
    port = free_port()
    with ThreadPoolExecutor() as pool:
        try:
            ends = [pool.submit(train, tmp_path, 1, from_shell=True, epochs=EPOCHS, PORT=port, NNODES='2',
                                NODE_RANK=rank, CLIM_PEER_PATIENCE=str(PATIENCE))
                    for rank in ('0', '1')]
            wait_until(lambda: (tmp_path / 'epoch_1.pth').exists() or any(end.done() for end in ends), seconds=300)
            agents = [running(f'--node_rank={rank}', str(tmp_path)) for rank in (0, 1)]
            assert [len(pids) for pids in agents] == [1, 1], ends[0].result(1).stdout
            yield SimpleNamespace(work_dir=tmp_path, ends=ends, agents=[pids[0] for pids in agents])
        finally:
            for pid in running(str(tmp_path), 'torch.distributed.run') + running(str(tmp_path), 'tools/train.py'):
                os.kill(pid, signal.SIGKILL)


@pytest.mark.parametrize(('victim', 'death', 'how'), [
    (0, signal.SIGKILL, 'Rank 0, or the torchrun on its machine, is gone'),  # the system closes its connections
    (1, signal.SIGSTOP, f'has been silent for {PATIENCE} s'),  # as when the power fails: no connection is closed
])
def test_when_a_machine_dies_the_other_ends_and_the_run_resumes_on_one(
        machines, train, victim, death, how):
    for pid in with_descendants(machines.agents[victim]):
        os.kill(pid, death)
    survivor = machines.ends[1 - victim].result(HANGS)  # also waits for whoever still holds its stdout
    assert survivor.returncode != 0
    (told, ) = [line for line in survivor.stdout.splitlines() if line.startswith('Error: ')]
    assert told.startswith(f'Error: Rank {victim}') and how in told and told.endswith(REMEDY)
    assert 'Traceback' not in survivor.stdout.split(told)[0]
    if death == signal.SIGSTOP:
        for pid in with_descendants(machines.agents[victim]):
            os.kill(pid, signal.SIGCONT)
        late = machines.ends[victim].result(HANGS)  # it does not write into a run that others have taken up
        assert late.returncode != 0 and REMEDY in late.stdout
    wait_until(lambda: not running(str(machines.work_dir)), seconds=HANGS)

    epochs = max(int(path.stem.removeprefix('epoch_')) for path in machines.work_dir.glob('epoch_*.pth'))
    assert epochs < EPOCHS
    resumed = train(machines.work_dir, 1, '--resume', epochs=epochs + 1)
    assert resumed.returncode == 0, resumed.stdout[-3000:]
    assert f'resumed epoch: {epochs}' in resumed.stdout
    assert (machines.work_dir / f'epoch_{epochs + 1}.pth').is_file()
