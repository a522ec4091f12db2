#!/usr/bin/env bash
# Make .venv-peers, in which tools/benchmarks/peers.py trains the libraries that this project is compared with.
#   bash tools/benchmarks/setup_peers.sh
set -euo pipefail

cd "$(dirname "$0")/../.."
.venv/bin/python -m venv .venv-peers
.venv-peers/bin/python -m pip install --disable-pip-version-check -r requirements/peers.txt
