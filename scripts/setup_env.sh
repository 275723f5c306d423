#!/usr/bin/env bash
# Makes .venv in the project's root from requirements_lock.txt and uses it again while the lock file is unchanged.
# Sourced by quickstart.sh and test.sh: sets NASFPN_ROOT and NASFPN_PYTHON.
# PYTHON=/path/to/python3.12 chooses the interpreter; pip takes its own variables, e.g. PIP_INDEX_URL.
NASFPN_ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"

nasfpn_say() { printf '%s\n' "$*" >&2; }

nasfpn_is_supported() {
  command -v "$1" >/dev/null 2>&1 &&
    "$1" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' >/dev/null 2>&1
}

nasfpn_find_python() {
  local candidate
  for candidate in ${PYTHON:+"$PYTHON"} python3.11 python3.12 python3.13 python3 python; do
    if nasfpn_is_supported "$candidate"; then
      if ! "$candidate" -c 'import ensurepip, venv' >/dev/null 2>&1; then
        nasfpn_say "$candidate has no venv module: install it (on Debian and Ubuntu the package python3-venv)."
        return 1
      fi
      printf '%s\n' "$candidate"
      return 0
    fi
    if [ -n "${PYTHON:-}" ] && [ "$candidate" = "$PYTHON" ]; then
      nasfpn_say "PYTHON=$PYTHON is not a Python 3.11, 3.12 or 3.13 ($("$PYTHON" --version 2>&1 || true))."
      return 1
    fi
  done
  nasfpn_say "nasfpn_tf needs Python 3.11, 3.12 or 3.13: its packages (TensorFlow 2.20, tf-models-official) are pinned for these."
  nasfpn_say "Found: $(python3 --version 2>/dev/null || echo 'no python3 at all')." \
    "Install one of them, or say where it is: PYTHON=/path/to/python3.12 $0"
  return 1
}

# pip's log on standard input -> a counter on a terminal, a line every 20 packages anywhere else.
nasfpn_show_pip() {
  local terminal=0
  [ -t 2 ] && terminal=1
  awk -v total="$1" -v terminal="$terminal" '
    /^Collecting / {
      n++
      if (terminal) printf "\r\033[K  %d/%d %s", n, total, $2 > "/dev/stderr"
      else if (n % 20 == 0) printf "  %d/%d packages\n", n, total > "/dev/stderr"
    }
    /^Installing collected packages/ {
      if (terminal) printf "\r\033[K" > "/dev/stderr"
      print "  Unpacking them ..." > "/dev/stderr"
    }'
}

nasfpn_install() (
  set -o pipefail
  venv="$NASFPN_ROOT/.venv" lock="$NASFPN_ROOT/.venv.lock" waited=0
  until mkdir "$lock" 2>/dev/null; do
    owner="$(cat "$lock/pid" 2>/dev/null)"
    if [ ! -d "$lock" ]; then
      nasfpn_say "Cannot write into $NASFPN_ROOT."
      exit 1
    elif [ -n "$owner" ] && ! kill -0 "$owner" 2>/dev/null; then
      rm -rf "$lock" # Its owner was killed.
    else
      [ "$waited" = 0 ] && nasfpn_say "Another run (process ${owner:-starting}) is making .venv; waiting for it ..."
      waited=1
      sleep 1
    fi
  done
  printf '%s\n' "$$" > "$lock/pid"
  trap 'rm -rf "$lock"' EXIT
  trap 'exit 130' INT TERM HUP
  nasfpn_is_ready "$1" && exit 0 # The run that was waited for made it.

  if [ -L "$venv" ]; then # Where it leads is for the user to say.
    nasfpn_say "$venv is a link to a directory without the packages of requirements_lock.txt, which is left as it is:" \
      "remove the link, and run this again."
    exit 1
  fi
  python="$(nasfpn_find_python)" || exit 1
  free_kb="$(df -Pk "$NASFPN_ROOT" | awk 'NR == 2 {print $4}')"
  if [ "${free_kb:-0}" -lt "${NASFPN_NEEDED_KB:-5000000}" ]; then
    nasfpn_say "$NASFPN_ROOT has $((${free_kb:-0} / 1000)) MB free; the packages need ${NASFPN_NEEDED_KB:-5000000} kB while" \
      "they are installed (3.4 GB afterwards). Make room and run this again."
    exit 1
  fi
  if [ -e "$venv" ] && ! nasfpn_is_ours "$venv"; then
    nasfpn_say "$venv was not made by this script from this requirements_lock.txt, and what it holds would be lost:" \
      "move or delete it, and run this again."
    exit 1
  fi
  nasfpn_say "Making $venv from requirements_lock.txt (3.4 GB, a few minutes) ..."
  rm -rf "$venv" && mkdir "$venv" && touch "$venv/.made_by_setup_env" && "$python" -m venv "$venv" || exit 1
  "$venv/bin/python" -m pip install --disable-pip-version-check --no-input --progress-bar=off \
    -r "$NASFPN_ROOT/requirements_lock.txt" 2>&1 | tee "$venv/install.log" |
    nasfpn_show_pip "$(grep -c '==' "$NASFPN_ROOT/requirements_lock.txt")"
  if [ "${PIPESTATUS[0]}" != 0 ]; then
    nasfpn_say "The install failed. The end of $venv/install.log:"
    tail -n 8 "$venv/install.log" >&2
    if grep -qiE 'No space left' "$venv/install.log"; then
      nasfpn_say "The disk is full: make room and run this again."
    elif grep -qiE 'connection|resolution|network|timed out|no matching distribution' "$venv/install.log"; then
      nasfpn_say "The packages could not be fetched: this needs the network once, or a mirror or a directory of wheels" \
        "(PIP_INDEX_URL, or PIP_NO_INDEX=1 with PIP_FIND_LINKS)."
    fi
    exit 1
  fi
  printf '%s\n' "$1" > "$venv/.lock_stamp"
)

nasfpn_is_ready() {
  [ -x "$NASFPN_ROOT/.venv/bin/python" ] && [ "$(cat "$NASFPN_ROOT/.venv/.lock_stamp" 2>/dev/null)" = "$1" ]
}

# Whether this script made the directory, now or (.lock_stamp, install.log) before it left .made_by_setup_env.
nasfpn_is_ours() {
  [ -e "$1/.made_by_setup_env" ] || [ -e "$1/.lock_stamp" ] || [ -e "$1/install.log" ] || [ -z "$(ls -A "$1")" ]
}

nasfpn_make_venv() {
  local stamp packages pth
  stamp="$(cksum < "$NASFPN_ROOT/requirements_lock.txt")" || return 1
  nasfpn_is_ready "$stamp" || nasfpn_install "$stamp" || return 1
  NASFPN_PYTHON="$NASFPN_ROOT/.venv/bin/python"
  # The project itself is used in place; written again where the directory has been moved.
  packages=("$NASFPN_ROOT"/.venv/lib/python3.*/site-packages)
  pth="${packages[0]}/nasfpn_tf.pth"
  [ "$(cat "$pth" 2>/dev/null)" = "$NASFPN_ROOT" ] || printf '%s\n' "$NASFPN_ROOT" > "$pth" || return 1
}

nasfpn_make_venv || exit 1
export TF_USE_LEGACY_KERAS=1
