#!/usr/bin/env bash
# Every check of this repository, on a fresh machine too: linters, type check, tests.
#   bash tools/run_tests.sh                   everything
#   bash tools/run_tests.sh -m "not e2e"      the quick tests only; arguments go to pytest
set -euo pipefail

cd "$(dirname "$0")/.."
bash tools/setup_env.sh requirements/tests.txt
.venv/bin/ruff check .
.venv/bin/shellcheck tools/*.sh .ci/run
.venv/bin/mypy
exec .venv/bin/python -m pytest "$@"
