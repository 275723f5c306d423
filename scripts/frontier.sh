#!/usr/bin/env bash
# Detectors of several pyramids and sizes, trained, exported and measured, and a report of what each reaches and costs:
# makes .venv first where it is missing. Arguments go to frontier.py, e.g. --data_dir=bccd --output_dir=runs/frontier.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/setup_env.sh"
exec "$NASFPN_PYTHON" "$NASFPN_ROOT/scripts/frontier.py" "$@"
