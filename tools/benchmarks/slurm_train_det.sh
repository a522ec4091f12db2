#!/usr/bin/env bash
# Train a detector from a pretraining checkpoint under Slurm, one task for each GPU.
#   GPUS=8 GPUS_PER_NODE=8 bash tools/benchmarks/slurm_train_det.sh PARTITION JOB_NAME CONFIG CHECKPOINT [arguments of train_det.py]
# In place of CHECKPOINT it takes --start supervised|random|CHECKPOINT.
# GPUS_PER_NODE=0 runs on the CPU with GPUS tasks. SRUN_ARGS are passed on to srun.
set -euo pipefail

if [ $# -lt 4 ]; then
    echo "Usage: bash tools/benchmarks/slurm_train_det.sh PARTITION JOB_NAME CONFIG [CHECKPOINT] [--start supervised|random|CHECKPOINT] [arguments of train_det.py]" >&2
    exit 2
fi
tools=$(dirname "$0")/..
exec env TRAIN_SCRIPT="$tools/benchmarks/train_det.py" bash "$tools/slurm_train.sh" "$@"
