#!/usr/bin/env bash
# Makes .venv in the project's root from requirements_lock.txt; reuses it while the lock file is unchanged.
# Sourced by quickstart.sh and test.sh: sets NASFPN_ROOT and NASFPN_PYTHON.
NASFPN_ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"

nasfpn_find_python() {
  local candidate
  for candidate in "${PYTHON:-}" python3.11 python3 python; do
    [ -n "$candidate" ] && command -v "$candidate" >/dev/null 2>&1 || continue
    if "$candidate" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null; then
      printf '%s\n' "$candidate"
      return 0
    fi
  done
  echo "nasfpn_tf needs Python 3.11 (TensorFlow 2.20 with tf-models-official is pinned for it)." >&2
  echo "Found: $(python3 --version 2>&1 || echo 'no python3 at all'). Install Python 3.11 or set PYTHON=/path/to/python3.11." >&2
  return 1
}

nasfpn_make_venv() {
  local venv="$NASFPN_ROOT/.venv" stamp python
  stamp="$(cksum < "$NASFPN_ROOT/requirements_lock.txt")" || return 1
  if [ ! -x "$venv/bin/python" ] || [ "$(cat "$venv/.lock_stamp" 2>/dev/null)" != "$stamp" ]; then
    python="$(nasfpn_find_python)" || return 1
    echo "Making $venv from requirements_lock.txt (3.4 GB on disk, a few minutes) ..."
    rm -f "$venv/.lock_stamp"
    "$python" -m venv --clear "$venv" || return 1
    "$venv/bin/python" -m pip install --disable-pip-version-check --progress-bar=off -q \
      -r "$NASFPN_ROOT/requirements_lock.txt" || {
      echo "The install failed: see the lines above. The next run starts it anew." >&2
      return 1
    }
    "$venv/bin/python" - "$NASFPN_ROOT" <<'PY' || return 1
import pathlib, sys, sysconfig
pathlib.Path(sysconfig.get_path("purelib"), "nasfpn_tf.pth").write_text(sys.argv[1] + "\n")
PY
    printf '%s\n' "$stamp" > "$venv/.lock_stamp"
  fi
  NASFPN_PYTHON="$venv/bin/python"
}

nasfpn_make_venv || exit 1
export TF_CPP_MIN_LOG_LEVEL="${TF_CPP_MIN_LOG_LEVEL:-2}" TF_USE_LEGACY_KERAS=1
