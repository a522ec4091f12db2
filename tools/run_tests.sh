#!/usr/bin/env bash
# Every check of this repository, on a fresh machine too: linters, type check, tests. docs/development.md has more.
#   bash tools/run_tests.sh                   all but detection
#   bash tools/run_tests.sh --quick           without the end-to-end tests
#   bash tools/run_tests.sh --det             detection: installs MMDetection, builds mmcv's operators, and runs its tests
#   bash tools/run_tests.sh tests/models      some tests; arguments go to pytest
set -euo pipefail

cd "$(dirname "$0")/.."
bash tools/setup_env.sh requirements/tests.txt

# One thread a process, and a process for each core; where faiss takes all cores, its threads leave them as they wait.
export OMP_NUM_THREADS=1 OMP_WAIT_POLICY=PASSIVE
pytest_on_every_core() {
    .venv/bin/python -m pytest -n auto --dist worksteal --durations=40 --durations-min=0.5 "$@"
}

if [[ ${1:-} == --det ]]; then
    bash tools/setup_det.sh
    pytest_on_every_core tests/e2e/detection "${@:2}"
    exit
fi
if [[ $# -gt 0 && $1 != --quick ]]; then
    exec .venv/bin/python -m pytest "$@"
fi
.venv/bin/ruff check .
.venv/bin/shellcheck tools/*.sh tools/benchmarks/*.sh .ci/run
.venv/bin/mypy
pytest_on_every_core -m "not e2e" --ignore=tests/e2e "${@:2}"
if [[ $# -gt 0 ]]; then
    exit
fi

# The pages are tested in a real browser; without one their test says how to get it.
if ! { command -v chromium || command -v chromium-browser || command -v google-chrome; } >/dev/null \
    && [[ $(id -u) -eq 0 ]] && command -v apt-get >/dev/null; then
    echo 'Installing chromium for the tests of the pages ...'
    { apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y chromium; } >/dev/null \
        || echo 'chromium could not be installed.' >&2
fi
pytest_on_every_core -m e2e
