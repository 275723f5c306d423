#!/usr/bin/env bash
# From records to a searched, trained and exported detector: warm-up training, search, training of the winner, exports.
# Makes .venv first where it is missing; run it again to go on. Arguments go to search_and_train.py, e.g. --smoke.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/setup_env.sh"
exec "$NASFPN_PYTHON" "$NASFPN_ROOT/scripts/search_and_train.py" "$@"
