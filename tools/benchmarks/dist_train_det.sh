#!/usr/bin/env bash
# Train a detector from a pretraining checkpoint with several processes: one for each GPU, or that many on the CPU of a machine without.
#   bash tools/benchmarks/dist_train_det.sh CONFIG CHECKPOINT GPUS [arguments of tools/benchmarks/train_det.py]
# C4 and FPN alike. Several machines: run it on each, with NNODES, NODE_RANK, MASTER_ADDR and PORT set.
set -euo pipefail

if [ $# -lt 3 ]; then
    echo "Usage: bash tools/benchmarks/dist_train_det.sh CONFIG CHECKPOINT GPUS [arguments of tools/benchmarks/train_det.py]" >&2
    exit 2
fi
here=$(dirname "$0")

PYTHONPATH="$here/../..${PYTHONPATH:+:$PYTHONPATH}" exec "${PYTHON:-python}" -m torch.distributed.run \
    --nnodes="${NNODES:-1}" \
    --node_rank="${NODE_RANK:-0}" \
    --master_addr="${MASTER_ADDR:-127.0.0.1}" \
    --master_port="${PORT:-29500}" \
    --nproc_per_node="$3" \
    "$here/train_det.py" "$1" "$2" --launcher pytorch "${@:4}"
