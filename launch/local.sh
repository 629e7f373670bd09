#!/usr/bin/env bash
# Trains on this machine: on all its GPUs, or on simulated CPU devices, in one process or several.
#
#   launch/local.sh [--devices N] [--processes P] -- --config=configs/smoke.py --workdir=runs/smoke
#
#   --devices N    simulate N CPU devices in each process
#   --processes P  run P processes that train together (default 1)
#   --dry-run      show what would be run
#
# Everything after -- goes to `hop train`; running the same line again goes on where it stopped.
set -euo pipefail

# shellcheck source-path=SCRIPTDIR source=common.sh
source "$(dirname "$0")/common.sh"

devices="" processes=1
parse "devices processes" "" "$@"
positive processes ${devices:+devices}
need_training
find_hop
if [ -n "$devices" ]; then
  export JAX_PLATFORMS=cpu
  export XLA_FLAGS="${XLA_FLAGS:-} --xla_force_host_platform_device_count=$devices"
fi
if [ -n "$dry_run" ]; then
  for ((id = 0; id < processes; id++)); do
    words=(env ${devices:+"JAX_PLATFORMS=cpu" "XLA_FLAGS=$XLA_FLAGS"})
    [ "$processes" -eq 1 ] ||
      words+=(HOP_COORDINATOR=127.0.0.1:PORT HOP_PROCESSES="$processes" HOP_PROCESS_ID="$id")
    quoted "${words[@]}" "$bin" train "${train[@]}"
  done
  exit 0
fi
[ "$processes" -gt 1 ] || exec "$bin" train "${train[@]}"

HOP_COORDINATOR="127.0.0.1:$("$(dirname "$bin")/python" -c \
  'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')"
export HOP_COORDINATOR HOP_PROCESSES="$processes"
pids=()
trap 'kill -TERM "${pids[@]}" 2>/dev/null || true' INT TERM # all save a checkpoint and end with 75
for ((id = 0; id < processes; id++)); do
  HOP_PROCESS_ID="$id" "$bin" train "${train[@]}" &
  pids+=($!)
done
left="$processes" code=0
while [ "$left" -gt 0 ]; do
  status=0 ended=""
  wait -n -p ended || status=$?
  [ -n "${ended:-}" ] || continue # woken by a signal, which unsets it
  left=$((left - 1))
  [ "$code" -ne 0 ] || code="$status"
  if [ "$status" -ne 0 ] && [ "$status" -ne 75 ] && [ "$left" -gt 0 ]; then
    sleep 3 # the first failure ends the job; its peers may say what they saw of it
    kill -KILL "${pids[@]}" 2>/dev/null || true
  fi
done
exit "$code"
