#!/usr/bin/env bash
# Make .venv ready for detection: MMDetection, and mmcv with its compiled operators. What is there is left alone.
#   bash tools/setup_det.sh
# MAX_JOBS compilers run at once (default: one for each core). For GPUs build where nvcc and a GPU are, or set FORCE_CUDA=1.
# The build is kept in ~/.cache/clim_mm for other checkouts, unless PIP_NO_CACHE_DIR is set.
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

# What a build depends on: with the same, it is the same.
fingerprint() {
    "$python" -c 'import os, platform, sys, torch
print(platform.platform(), sys.implementation.cache_tag, torch.__version__,
      [torch.cuda.get_device_capability(i) for i in range(torch.cuda.device_count())],
      [os.environ.get(name) for name in ("FORCE_CUDA", "CUDA_HOME", "TORCH_CUDA_ARCH_LIST", "CC", "CXX", "CFLAGS")])' \
        | cksum | cut -d ' ' -f 1
}

install_wheel() {
    "$python" -m pip install --disable-pip-version-check --no-index --force-reinstall --no-deps "$@"
}

bash tools/setup_env.sh requirements/det.txt
if has_operators; then
    exit 0
fi

version=$(sed -n 's/^onedl-mmcv==\([0-9.]*\).*/\1/p' requirements/pinned.txt)
log=$root/.venv/mmcv-build.log
# nproc believes OMP_NUM_THREADS, which is 1 in the tests and says nothing of compilers.
jobs=${MAX_JOBS:-$(env -u OMP_NUM_THREADS nproc 2>/dev/null || echo 2)}
kept=${XDG_CACHE_HOME:-$HOME/.cache}/clim_mm/mmcv-$version-$(fingerprint)
if [ -z "${PIP_NO_CACHE_DIR:-}" ] && compgen -G "$kept/*.whl" >/dev/null; then
    echo "Taking mmcv's operators from an earlier build ($kept)."
    if install_wheel "$kept"/*.whl >"$log" 2>&1 && has_operators; then
        exit 0
    fi
    echo "That build does not work here: it is thrown away."
    rm -rf "$kept"
fi
echo "The installed mmcv has no compiled operators, which MMDetection needs: building them with $jobs compilers at once (5 to 20 minutes on 2 cores; everything is in $log) ..."
tell_pure_python_builds
built=$(mktemp -d)
trap 'rm -rf "$built"' EXIT
# Python's own flags ask for debug symbols, which nobody reads here: without them the build takes a third of the time.
if ! MAX_JOBS=$jobs CFLAGS="${CFLAGS:-} -g0" CXXFLAGS="${CXXFLAGS:-} -g0" "$python" -m pip wheel -v --no-build-isolation \
    --disable-pip-version-check --no-cache-dir --no-deps -w "$built" "onedl-mmcv==$version" 2>&1 | tee "$log" | count; then
    tail -n 20 "$log" >&2
    echo "Error: mmcv $version could not be built: the lines above and $log say why (a C++17 compiler is needed: on Debian and Ubuntu, apt-get install build-essential)." >&2
    exit 1
fi
install_wheel "$built"/*.whl >>"$log" 2>&1
if ! has_operators; then
    echo "Error: pip has installed mmcv without operators again (a pure-Python build: $(basename "$built"/*.whl)): take that wheel out of the reach of pip (PIP_FIND_LINKS, the package index), and start again; $log has the details." >&2
    exit 1
fi
if [ -z "${PIP_NO_CACHE_DIR:-}" ]; then
    { mkdir -p "$(dirname "$kept")" && rm -rf "$kept" && mv "$built" "$kept"; } 2>/dev/null || true
fi
echo "mmcv $version has its operators now."
