#!/usr/bin/env bash
# Make .venv ready for detection: MMDetection, and mmcv with its compiled operators. What is there is left alone.
#   bash tools/setup_det.sh
# MAX_JOBS compilers run at once (default: one for each core). For GPUs build where nvcc and a GPU are, or set FORCE_CUDA=1.
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
python=$root/.venv/bin/python
cd "$root"

has_operators() {
    "$python" -c 'import torch, mmcv._ext' 2>/dev/null
}

# Ninja numbers what it compiles, [n/78]: a line that counts on a terminal, a line for each tenth elsewhere.
count() {
    local line compiled all shown=-1
    while IFS= read -r line; do
        if [[ $line =~ \[([0-9]+)/([0-9]+)\] ]]; then
            compiled=${BASH_REMATCH[1]} all=${BASH_REMATCH[2]}
            if [ -t 1 ]; then
                printf '\r  compiled %d of %d files' "$compiled" "$all"
            elif [ $((compiled * 10 / all)) -ne "$shown" ]; then
                shown=$((compiled * 10 / all))
                printf '  compiled %d of %d files\n' "$compiled" "$all"
            fi
        fi
    done
    if [ -t 1 ]; then echo; fi
}

# A wheel without operators in pip's cache would be installed again and again in the place of a build.
tell_pure_python_builds() {
    local wheel
    # Without a cache (PIP_NO_CACHE_DIR) pip cannot list it, and fails.
    { "$python" -m pip cache list --format=abspath onedl_mmcv 2>/dev/null || true; } | while IFS= read -r wheel; do
        if [ -f "$wheel" ] && ! "$python" -m zipfile -l "$wheel" | grep -q 'mmcv/_ext'; then
            echo "pip's cache has handed out a pure-Python build of mmcv ($wheel); it is passed over now. To be rid of it: pip cache remove onedl_mmcv"
        fi
    done
}

bash tools/setup_env.sh requirements/det.txt
if has_operators; then
    exit 0
fi

version=$(sed -n 's/^onedl-mmcv==\([0-9.]*\).*/\1/p' requirements/pinned.txt)
log=$root/.venv/mmcv-build.log
jobs=${MAX_JOBS:-$(nproc 2>/dev/null || echo 2)}
echo "The installed mmcv has no compiled operators, which MMDetection needs: building them with $jobs compilers at once (about 12 minutes on 2 cores; everything is in $log) ..."
tell_pure_python_builds
# Python's own flags ask for debug symbols, which nobody reads here: without them the build takes a third of the time.
if ! MAX_JOBS=$jobs CFLAGS="${CFLAGS:-} -g0" CXXFLAGS="${CXXFLAGS:-} -g0" "$python" -m pip install --disable-pip-version-check -v --no-build-isolation --no-cache-dir \
    --force-reinstall --no-deps "onedl-mmcv==$version" 2>&1 | tee "$log" | count; then
    tail -n 20 "$log" >&2
    echo "Error: mmcv $version could not be built: the lines above and $log say why (a C++17 compiler is needed: on Debian and Ubuntu, apt-get install build-essential)." >&2
    exit 1
fi
if ! has_operators; then
    echo "Error: pip has installed mmcv without operators again (a pure-Python build: $(grep -om1 'onedl_mmcv-[^ ]*\.whl' "$log" || echo 'of unknown origin')): take that wheel out of the reach of pip (PIP_FIND_LINKS, the package index), and start again; $log has the details." >&2
    exit 1
fi
echo "mmcv $version has its operators now."
