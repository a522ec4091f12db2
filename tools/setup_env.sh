#!/usr/bin/env bash
# Make the virtual environment .venv with a requirements file, or leave it alone if it has that already.
#   bash tools/setup_env.sh requirements/pinned.txt
# PYTHON names the interpreter to use, if not the newest of 3.10 to 3.12 that is found.
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
requirements=${1:-requirements/pinned.txt}
venv=$root/.venv
cd "$root"

find_python() {
    local candidate
    for candidate in ${PYTHON:+"$PYTHON"} python3.12 python3.11 python3.10 python3 python; do
        if "$candidate" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info < (3, 13))' 2>/dev/null; then
            echo "$candidate"
            return
        fi
    done
    echo "Error: no Python 3.10, 3.11 or 3.12 was found: install one, or name it, as in PYTHON=/path/to/python3.12." >&2
    return 1
}

# The stamp is written last: an installation that was interrupted is taken up again.
wanted=$(cat requirements/*.txt setup.py | cksum)
stamp=$venv/installed-$(basename "$requirements" .txt)
if [ -x "$venv/bin/python" ] && [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ] && "$venv/bin/python" -c '' 2>/dev/null; then
    exit 0
fi

if ! "$venv/bin/python" -m pip --version >/dev/null 2>&1; then
    python=$(find_python)
    rm -rf "$venv"
    if ! "$python" -m venv "$venv"; then
        rm -rf "$venv"
        echo "Error: $python cannot make a virtual environment: install its venv module (on Debian and Ubuntu: apt-get install python3-venv)." >&2
        exit 1
    fi
fi
echo "Installing $requirements into .venv (torch and its libraries are about 3 GB to download) ..."
"$venv/bin/python" -m pip install --disable-pip-version-check -r "$requirements"
"$venv/bin/python" -m pip install --disable-pip-version-check --no-deps -e . >/dev/null
if ! "$venv/bin/python" -c 'import cv2' 2>/dev/null; then
    echo "OpenCV finds no graphics libraries on this machine: taking its headless build."
    version=$(sed -n 's/^opencv-python==\([0-9.]*\).*/\1/p' requirements/pinned.txt)
    "$venv/bin/python" -m pip install --disable-pip-version-check --force-reinstall --no-deps "opencv-python-headless==$version"
fi
echo "$wanted" >"$stamp"
# What a requirements file includes is there with it.
sed -n 's/^-r \(.*\)\.txt$/\1/p' "$requirements" | while read -r included; do
    echo "$wanted" >"$venv/installed-$included"
done
