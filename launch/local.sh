#!/usr/bin/env bash
# Trains on this machine: on all its GPUs, or on simulated CPU devices, in one process or several.
#
#   launch/local.sh [--devices N] [--processes P] -- --config=configs/smoke.py --workdir=runs/smoke
#
#   --devices N    simulate N CPU devices in each process
#   --processes P  run P processes that train together (default 1)
#
# Everything after -- goes to `hop train`; running the same line again goes on where it stopped.
set -euo pipefail

usage() { sed -n '2,9s/^# \{0,1\}//p' "$0"; }
fail() { echo "launch/local.sh: $1" >&2; exit 2; }

devices="" processes=1
while [ $# -gt 0 ]; do
  case "$1" in
    --devices) devices="${2:-}"; shift 2 || fail "--devices needs a number" ;;
    --processes) processes="${2:-}"; shift 2 || fail "--processes needs a number" ;;
    --help | -h) usage; exit 0 ;;
    --) shift; break ;;
    *) fail "unknown option $1; see --help" ;;
  esac
done
[[ "$processes" =~ ^[1-9][0-9]*$ ]] || fail "--processes=$processes is not a positive number"
[ $# -gt 0 ] || fail "nothing to train; give -- --config=FILE --workdir=W"

bin="$(cd "$(dirname "$0")/.." && pwd)/.venv/bin/hop"
[ -x "$bin" ] || bin="$(command -v hop)" || fail "hop is not installed; run make install"
if [ -n "$devices" ]; then
  [[ "$devices" =~ ^[1-9][0-9]*$ ]] || fail "--devices=$devices is not a positive number"
  export JAX_PLATFORMS=cpu
  export XLA_FLAGS="${XLA_FLAGS:-} --xla_force_host_platform_device_count=$devices"
fi
[ "$processes" -gt 1 ] || exec "$bin" train "$@"

HOP_COORDINATOR="127.0.0.1:$("$(dirname "$bin")/python" -c \
  'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')"
export HOP_COORDINATOR HOP_PROCESSES="$processes"
pids=()
trap 'kill -TERM "${pids[@]}" 2>/dev/null || true' INT TERM # all save a checkpoint and end with 75
for ((id = 0; id < processes; id++)); do
  HOP_PROCESS_ID="$id" "$bin" train "$@" &
  pids+=($!)
done
left="$processes" code=0
while [ "$left" -gt 0 ]; do
  status=0 ended=""
  wait -n -p ended || status=$?
  [ -n "$ended" ] || continue # woken by a signal
  left=$((left - 1))
  [ "$code" -ne 0 ] || code="$status"
  if [ "$status" -ne 0 ] && [ "$status" -ne 75 ] && [ "$left" -gt 0 ]; then
    sleep 3 # the first failure ends the job; its peers may say what they saw of it
    kill -KILL "${pids[@]}" 2>/dev/null || true
  fi
done
exit "$code"
