#!/usr/bin/env bash
# The tests that are not marked slow, from nothing: makes .venv first where it is missing. Arguments go to pytest.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/setup_env.sh"
cd "$NASFPN_ROOT"
# In the order of tests/conftest.py, long files first, not by their number of tests.
exec "$NASFPN_PYTHON" -m pytest -n 2 --dist loadfile --no-loadscope-reorder "$@"
