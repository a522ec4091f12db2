#!/usr/bin/env bash
# Train with several processes: one for each GPU, or that many on the CPU of a machine without GPUs.
#   bash tools/dist_train.sh CONFIG GPUS [arguments of tools/train.py]
# Several machines: run it on each, with NNODES, NODE_RANK, MASTER_ADDR and PORT set. When one of them dies the others
# end, at the latest after CLIM_PEER_PATIENCE seconds without a word from it (40); go on with --resume.
# TRAIN_SCRIPT is another program of the same arguments, as the scripts in tools/benchmarks give it.
set -euo pipefail

if [ $# -lt 2 ]; then
    echo "Usage: bash tools/dist_train.sh CONFIG GPUS [arguments of tools/train.py]" >&2
    exit 2
fi
config=$1
gpus=$2
tools=$(dirname "$0")
script=${TRAIN_SCRIPT:-$tools/train.py}

PYTHONPATH="$tools/..${PYTHONPATH:+:$PYTHONPATH}" exec "${PYTHON:-python}" -m clim_mm.launch.ranks \
    --nnodes="${NNODES:-1}" \
    --node_rank="${NODE_RANK:-0}" \
    --master_addr="${MASTER_ADDR:-127.0.0.1}" \
    --master_port="${PORT:-29500}" \
    --nproc_per_node="$gpus" \
    "$script" "$config" --launcher pytorch "${@:3}"
