#!/usr/bin/env bash
# CLIM on a fresh machine: installs into .venv, pretrains CLIM and MoCo v2 on drawn textures, measures what was learned.
#   bash tools/quickstart.sh
# Results: work_dirs/quickstart/summary.json and positives.png.
set -euo pipefail

cd "$(dirname "$0")/.."
bash tools/setup_env.sh requirements/pinned.txt
exec .venv/bin/python tools/quickstart.py
