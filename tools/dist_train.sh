#!/usr/bin/env bash
# Train with several processes: one for each GPU, or that many on the CPU of a machine without GPUs.
#   bash tools/dist_train.sh CONFIG GPUS [arguments of tools/train.py]
# Several machines: run it on each, with NNODES, NODE_RANK, MASTER_ADDR and PORT set. When one of them dies the others
# end, at the latest after CLIM_PEER_PATIENCE seconds without a word from it (40); go on with --resume.
# On one machine the processes meet at a free port, or at PORT.
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
port=${PORT:-29500}

if [ "${NNODES:-1}" = 1 ] && [ "${PORT:-0}" = 0 ]; then
    meeting=(--rdzv_backend=c10d --rdzv_endpoint=127.0.0.1:0 --local_addr=127.0.0.1)
else
    meeting=(--nnodes="${NNODES:-1}" --node_rank="${NODE_RANK:-0}" --master_addr="${MASTER_ADDR:-127.0.0.1}" --master_port="$port")
    if [ "${NODE_RANK:-0}" = 0 ]; then
        "${PYTHON:-python}" -c '
import socket, sys
try:
    dual = socket.has_dualstack_ipv6()
    socket.create_server(("", int(sys.argv[1])), family=socket.AF_INET6 if dual else socket.AF_INET, dualstack_ipv6=dual)
except (OSError, ValueError, OverflowError) as error:
    sys.exit(f"Error: The processes cannot meet at port {sys.argv[1]} of this machine ({error}): set PORT to a free one, "
             "the same on every machine.")
' "$port"
    fi
fi
# After nohup, torchrun would still take a logout's SIGHUP for the end.
if [ -n "$(trap -p HUP)" ]; then
    meeting+=("--signals_to_handle=SIGTERM,SIGINT,SIGQUIT")
fi
# The processes end when torchrun, which takes the place of this script, is gone; see clim_mm/distributed/end_process.py.
CLIM_STARTED_BY+=" $$:$(stat -Lc %i /proc/self/ns/pid 2>/dev/null || true)"
export CLIM_STARTED_BY

exec "${PYTHON:-python}" -m clim_mm.launch.ranks \
    "${meeting[@]}" \
    --nproc_per_node="$gpus" \
    -- "$script" "$config" --launcher pytorch "${@:3}"  # torchrun would take a --start for its own --start-method
