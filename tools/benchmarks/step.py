"""The training step: CLIM's against MMSelfSup's own MoCo v2, and how much of it is CLIM's own work.

    python tools/benchmarks/step.py
    python tools/benchmarks/step.py --amp --channels-last --batch 128 --json step.json
    python tools/benchmarks/step.py --resolutions 224 --resolutions 224 160 --resolutions 224 160 128

Whole steps as a Runner makes them: preprocessing, forward, backward, optimizer, moving average and queue; on random
uint8 images that are already on the device. All in one process, in turns, with MoCo v2 twice as the control. Both have
the same backbone, neck, batch, queue and precision; MoCo's two views have the largest resolution. Batch statistics are
of one group, which is what each of several processes has.

CLIM's own work is everything but the backbone's and the neck's forward and backward. It is measured in two ways, in
the same turns. Directly: the step of a model whose encoders give ready features and gradients, so that what remains is
the own work (and adding up the gradients, which makes it an upper bound). As a difference: the step less the bare
encoders on the same views, queries forward and backward and keys forward. The first is exact; the second subtracts two
large figures, and swings with the machine by as much as A/A does.

On the CPU the process keeps its memory, as ``tools/train.py`` lets it; with ``--fresh-memory`` it takes new pages from
the system in each step, as other programs do.
"""

import argparse
import statistics

from training_steps import Contestants, Step, resolutions_of

# isort: split
import torch
from devices import clock_of, device_of
from mmengine.config import Config
from pairs import in_turns, ratios_to, write_figures
from peak_memory import peak_bytes_of

from clim_mm.checks import check_whole
from clim_mm.errors import ConfigError
from clim_mm.launch.commands import errors_in_a_sentence, keep_memory

RIVAL = 'moco v2 (mmselfsup)'


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description='Compare the training step with that of MoCo v2.')
    parser.add_argument('--config', default='configs/clim/clim_r50_16xb32-200e_in1k.py')
    parser.add_argument('--batch', type=int, default=32, help='images of a step (default: 32)')
    parser.add_argument('--queue', type=int, default=65536, help='keys (default: 65,536)')
    parser.add_argument('--resolutions', type=int, nargs='+', action='append', metavar='SIDE',
                        help='R, the largest first; several times for several settings (default: the config\'s)')
    parser.add_argument('--pairs', type=int, default=5, help='turns (default: 5)')
    parser.add_argument('--threads', type=int, help='of torch (default: its own choice)')
    parser.add_argument('--device', help='cpu or cuda (default: a GPU if there is one)')
    parser.add_argument('--amp', action='store_true', help='bfloat16 autocast, for all')
    parser.add_argument('--channels-last', action='store_true', help='channels innermost, for all')
    parser.add_argument('--fresh-memory', action='store_true', help='leave memory to the system\'s default')
    parser.add_argument('--json', metavar='FILE', help='write the figures there')
    return parser.parse_args()


def floor_of(resolutions: list[int]) -> float:
    """CLIM's step over MoCo v2's by the forwards that they need, where a backward is two (5 |R| of them, for 4)."""
    return 5 / 4 * sum((side / resolutions[0])**2 for side in resolutions)


def words(resolutions: list[int]) -> str:
    """Such as 224+160."""
    return '+'.join(map(str, resolutions))


def contestants_of(args: argparse.Namespace, settings: list[list[int]], device: torch.device) -> dict[str, Step]:
    """All that is timed, by name."""
    made = Contestants(Config.fromfile(args.config), args.batch, args.queue, device, args.amp, args.channels_last)
    runs = {RIVAL: made.moco_step(settings[0][0])}
    for resolutions in settings:
        runs[f'clim {words(resolutions)}'] = made.clim_step(resolutions)
        runs[f'encoders alone {words(resolutions)}'] = made.encoders_alone(resolutions)
        runs[f'own work {words(resolutions)}'] = made.own_work(resolutions)
    return runs


def own_shares(seconds: dict[str, list[float]], name: str) -> dict[str, float]:
    """Of the step, the median over the turns, by both ways."""
    step = seconds[f'clim {name}']
    direct = [own / whole for own, whole in zip(seconds[f'own work {name}'], step, strict=True)]
    rest = [1 - bare / whole for bare, whole in zip(seconds[f'encoders alone {name}'], step, strict=True)]
    return dict(direct=statistics.median(direct), difference=statistics.median(rest))


def main() -> None:
    args = parse_args()
    with errors_in_a_sentence():
        for name, least in [('batch', 2), ('queue', 1), ('pairs', 1)]:
            check_whole(f'--{name}', getattr(args, name), least=least)
        check_whole('--threads', args.threads, least=1, optional=True)
        if args.threads is not None:
            torch.set_num_threads(args.threads)
        device = device_of(args.device)
        if device.type == 'cpu' and not args.fresh_memory:
            keep_memory()
        settings = args.resolutions or [list(resolutions_of(Config.fromfile(args.config)))]
        if any(resolutions[0] != max(settings[0]) for resolutions in settings):
            raise ConfigError('--resolutions must begin with the largest, the same in each: MoCo v2 has it too.')
        torch.manual_seed(0)
        runs = contestants_of(args, settings, device)

        peaks = {}
        for name, run in runs.items():
            run()  # what stays, such as the optimizer's state, is made in the first step
            peaks[name] = peak_bytes_of(run, device)
        seconds = in_turns(runs, RIVAL, args.pairs, clock_of(device))
    ratios = ratios_to(RIVAL, seconds)
    for name, values in seconds.items():
        peak = '' if peaks.get(name) is None else f'{peaks[name] / 2**20:9.0f} MiB beside the models'
        ratio = '' if name not in ratios else f'{ratios[name]["median"]:8.3f} of {RIVAL}'
        print(f'{name:32}{statistics.median(values) * 1000:10.1f} ms {peak} {ratio}')
    shares = {words(resolutions): own_shares(seconds, words(resolutions)) for resolutions in settings}
    for resolutions in settings:
        share = shares[words(resolutions)]
        print(f'{words(resolutions)}: {ratios[f"clim {words(resolutions)}"]["median"]:.3f} times MoCo v2\'s step, '
              f'where the forwards needed are {floor_of(resolutions):.3f} times as many; own work is '
              f'{share["direct"]:.2%} of the step (as a difference: {share["difference"]:.2%}).')
    if args.json:
        described = dict(vars(args), resolutions=settings, device=str(device), threads=torch.get_num_threads())
        floors = {words(resolutions): floor_of(resolutions) for resolutions in settings}
        write_figures(args.json, dict(settings=described, seconds=seconds, ratios=ratios, floors=floors,
                                   own_shares=shares, peak_bytes=peaks))


if __name__ == '__main__':
    main()
