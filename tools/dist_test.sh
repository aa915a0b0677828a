#!/usr/bin/env bash
# Test with several processes:  bash tools/dist_test.sh CONFIG CHECKPOINT PROCESSES [options of tools/test.py]
# Several machines: as in dist_train.sh, with NNODES, NODE_RANK, MASTER_ADDR and PORT.
set -euo pipefail
if [ $# -lt 3 ]; then sed -n '2,3s/^# //p' "$0" >&2; exit 2; fi
config=$1 checkpoint=$2 processes=$3
shift 3
source "$(dirname "$0")/rendezvous.sh"
exec "${launch[@]}" "$(dirname "$0")/test.py" "$config" "$checkpoint" --launcher pytorch "$@"
