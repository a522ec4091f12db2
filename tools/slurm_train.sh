#!/usr/bin/env bash
# Train under Slurm, one task for each GPU.
#   GPUS=16 GPUS_PER_NODE=8 bash tools/slurm_train.sh PARTITION JOB_NAME CONFIG [arguments of tools/train.py]
# GPUS_PER_NODE=0 trains on the CPU with GPUS tasks. SRUN_ARGS are passed on to srun. TRAIN_SCRIPT is another program of
# the same arguments, as the scripts in tools/benchmarks give it. The tasks meet at a port of the job step, or at PORT.
set -euo pipefail

if [ $# -lt 3 ]; then
    echo "Usage: bash tools/slurm_train.sh PARTITION JOB_NAME CONFIG [arguments of tools/train.py]" >&2
    exit 2
fi
tasks=${GPUS:-8}
per_node=${GPUS_PER_NODE:-8}
tools=$(dirname "$0")
script=${TRAIN_SCRIPT:-$tools/train.py}

placement=(--ntasks="$tasks" --cpus-per-task="${CPUS_PER_TASK:-5}")
if [ "$per_node" -gt 0 ]; then
    placement+=(--gres="gpu:$per_node" --ntasks-per-node="$((tasks < per_node ? tasks : per_node))")
fi
# The first host of the allocation is known only inside it.
# shellcheck disable=SC2016,SC2086  # SRUN_ARGS are several words
srun -p "$1" --job-name="$2" "${placement[@]}" --kill-on-bad-exit=1 ${SRUN_ARGS:-} \
    bash -c 'export MASTER_ADDR=${MASTER_ADDR:-$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)}
             export MASTER_PORT=${PORT:-$((10000 + (SLURM_JOB_ID * 16 + SLURM_STEP_ID) % 20000))}
             exec "${PYTHON:-python}" -u "$@"' \
    bash "$script" "$3" --launcher slurm "${@:4}"
