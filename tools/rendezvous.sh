# Sets the array `launch`: torchrun with $processes processes on this machine. Sourced by dist_train.sh, dist_test.sh.
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
python=${PYTHON:-$([ -x "$root/.venv/bin/python" ] && echo "$root/.venv/bin/python" || echo python)}
launch=("$python" -m torch.distributed.run --nproc_per_node "$processes")
if [ "${NNODES:-1}" = 1 ]; then
    launch+=(--standalone)
else
    launch+=(--nnodes "$NNODES" --node_rank "${NODE_RANK:?set NODE_RANK to 0, 1, ...}"
        --master_addr "${MASTER_ADDR:?set MASTER_ADDR to the address of the machine with NODE_RANK 0}"
        --master_port "${PORT:-29500}")
fi
