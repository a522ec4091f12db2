#!/usr/bin/env bash
# Train a detector from a pretraining checkpoint with several processes: one for each GPU, or that many on the CPU of a machine without.
#   bash tools/benchmarks/dist_train_det.sh CONFIG CHECKPOINT GPUS [arguments of tools/benchmarks/train_det.py]
#   bash tools/benchmarks/dist_train_det.sh CONFIG GPUS --start supervised|random|CHECKPOINT [further arguments]
# C4 and FPN alike. Several machines: run it on each, with NNODES, NODE_RANK, MASTER_ADDR and PORT set.
set -euo pipefail

if [ $# -lt 3 ]; then
    echo "Usage: bash tools/benchmarks/dist_train_det.sh CONFIG [CHECKPOINT] GPUS [--start supervised|random|CHECKPOINT] [arguments of tools/benchmarks/train_det.py]" >&2
    exit 2
fi
tools=$(dirname "$0")/..
[[ $2 =~ ^[0-9]+$ ]] || set -- "$1" "$3" "$2" "${@:4}"  # GPUS before CHECKPOINT, where there is one
exec env TRAIN_SCRIPT="$tools/benchmarks/train_det.py" bash "$tools/dist_train.sh" "$@"
