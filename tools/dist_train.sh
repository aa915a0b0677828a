#!/usr/bin/env bash
# Train with several processes:  bash tools/dist_train.sh CONFIG PROCESSES [options of tools/train.py]
# One machine needs nothing else: torchrun finds a free port. Several machines: run this on each with
#   NNODES=2 NODE_RANK=0|1 MASTER_ADDR=<address of rank 0> [PORT=29500]
set -euo pipefail
if [ $# -lt 2 ]; then sed -n '2,4s/^# //p' "$0" >&2; exit 2; fi
config=$1 processes=$2
shift 2
source "$(dirname "$0")/rendezvous.sh"
exec "${launch[@]}" "$(dirname "$0")/train.py" "$config" --launcher pytorch "$@"
