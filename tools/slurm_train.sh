#!/usr/bin/env bash
# Train on a Slurm cluster:  bash tools/slurm_train.sh PARTITION JOB_NAME CONFIG WORK_DIR [options of tools/train.py]
# GPUS (8), GPUS_PER_NODE (8), CPUS_PER_TASK (5) and SRUN_ARGS are taken from the environment. A job that Slurm
# preempts (SIGTERM) goes on with --resume.
set -euo pipefail
if [ $# -lt 4 ]; then sed -n '2,4s/^# //p' "$0" >&2; exit 2; fi
partition=$1 job=$2 config=$3 work_dir=$4
shift 4
GPUS=${GPUS:-8} GPUS_PER_NODE=${GPUS_PER_NODE:-8} CPUS_PER_TASK=${CPUS_PER_TASK:-5}
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# The port follows from the job's number, so that two jobs on one node do not meet; each task evaluates it.
exec srun -p "$partition" --job-name="$job" --gres=gpu:"$GPUS_PER_NODE" --ntasks="$GPUS" \
    --ntasks-per-node="$GPUS_PER_NODE" --cpus-per-task="$CPUS_PER_TASK" --kill-on-bad-exit=1 ${SRUN_ARGS:-} \
    bash -c 'export MASTER_PORT=${MASTER_PORT:-$((20000 + SLURM_JOB_ID % 20000))}; exec "$@"' _ \
    "${PYTHON:-python}" -u "$root/tools/train.py" "$config" --work-dir "$work_dir" --launcher slurm "$@"
