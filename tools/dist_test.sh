#!/usr/bin/env bash
# Evaluate on several GPUs of one machine:  tools/dist_test.sh CONFIG CKPT GPUS [arguments of tools/test.py]
set -euo pipefail
usage='usage: tools/dist_test.sh CONFIG CKPT GPUS [arguments of tools/test.py]'
config=${1:?$usage}
checkpoint=${2:?$usage}
gpus=${3:?$usage}
exec "${PYTHON:-python}" -m torch.distributed.run --standalone --nproc_per_node="$gpus" "$(dirname "$0")/test.py" "$config" "$checkpoint" \
    --launcher pytorch "${@:4}"
