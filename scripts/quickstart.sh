#!/usr/bin/env bash
# From nothing to a trained, evaluated, exported and measured detector on the embedded data set, and a report of it:
# makes .venv first where it is missing. Arguments go to quickstart.py, e.g. --output_dir=DIR or --smoke.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/setup_env.sh"
exec "$NASFPN_PYTHON" "$NASFPN_ROOT/scripts/quickstart.py" "$@"
