#!/usr/bin/env bash
# Train on several GPUs of one machine:  tools/dist_train.sh CONFIG GPUS [arguments of tools/train.py]
set -euo pipefail
config=${1:?usage: tools/dist_train.sh CONFIG GPUS [arguments of tools/train.py]}
gpus=${2:?usage: tools/dist_train.sh CONFIG GPUS [arguments of tools/train.py]}
# the launcher ends with the signals that it does not know, before the ranks have saved
signals=SIGTERM,SIGINT,SIGHUP,SIGQUIT,SIGUSR1,SIGUSR2
exec "${PYTHON:-python}" -m torch.distributed.run --standalone --nproc_per_node="$gpus" --signals-to-handle="$signals" \
  "$(dirname "$0")/train.py" "$config" --launcher pytorch "${@:3}"
