#!/usr/bin/env bash
# From a directory of annotated images to a trained, evaluated and exported detector, and a report of it: makes .venv
# first where it is missing. Arguments go to fit.py: fit.sh DATA --minutes=30 --output_dir=my_detector.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/setup_env.sh"
exec "$NASFPN_PYTHON" "$NASFPN_ROOT/scripts/fit.py" "$@"
