#!/usr/bin/env bash
# Every check of this repository, on a fresh machine too: linters, type check, tests.
#   bash tools/run_tests.sh                   everything
#   bash tools/run_tests.sh --quick           without the end-to-end tests
#   bash tools/run_tests.sh tests/models      some tests; arguments go to pytest
set -euo pipefail

cd "$(dirname "$0")/.."
bash tools/setup_env.sh requirements/tests.txt
bash tools/setup_det.sh
.venv/bin/ruff check .
.venv/bin/shellcheck tools/*.sh tools/benchmarks/*.sh .ci/run
.venv/bin/mypy

# The pages are tested in a real browser; without one their test says how to get it.
if ! { command -v chromium || command -v chromium-browser || command -v google-chrome; } >/dev/null \
    && [[ ${1:-} != --quick && $(id -u) -eq 0 ]] && command -v apt-get >/dev/null; then
    echo 'Installing chromium for the tests of the pages ...'
    { apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y chromium; } >/dev/null \
        || echo 'chromium could not be installed.' >&2
fi

if [[ $# -gt 0 && $1 != --quick ]]; then
    exec .venv/bin/python -m pytest "$@"
fi
# The quick tests on every core, with a thread each.
OMP_NUM_THREADS=1 .venv/bin/python -m pytest -m "not e2e" -n auto --dist worksteal "${@:2}"
if [[ $# -eq 0 ]]; then
    # The others start processes of their own, most of them one that computes on one thread: two at once.
    .venv/bin/python -m pytest -m "e2e and alone"
    .venv/bin/python -m pytest -m "e2e and not alone" -n 2 --dist loadfile
fi
