#!/usr/bin/env bash
# Submits training to SLURM: one process per GPU, on any number of nodes.
#
#   launch/slurm.sh --nodes 2 --gpus 8 --time 12:00:00 -- --config=configs/burgers_time.py --workdir=W
#
#   --nodes N         nodes (default 1)
#   --gpus N          GPUs, and so processes, of each node (default 1; 0: one process on its CPUs)
#   --cpus N          CPUs of each process (the site's default without it, often 1)
#   --time T          limit of one run of the job, which goes on in the next; 10 minutes at least
#   --partition P     the site's default without it; likewise:
#   --account A
#   --sbatch OPTIONS  more options for sbatch, as --sbatch '--mem=64G --qos=high'
#   --dry-run         show what would be submitted
#
# W is a folder that all nodes share. Everything after -- goes to `hop train`. Three minutes before its
# limit, and when preempted, the job saves and queues itself again (slurm_job.sh). The same line again
# goes on where W stopped; while a job still trains W, the new one waits for it.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=common.sh
source "$(dirname "$0")/common.sh"

minutes() { # of a time limit in any form that sbatch reads; fails for others
  [[ "$1" =~ ^(([0-9]+)-)?([0-9]+)(:([0-9]+))?(:[0-9]+)?$ ]] || return 1
  local days="${BASH_REMATCH[2]}" first=$((10#${BASH_REMATCH[3]})) second=$((10#${BASH_REMATCH[5]:-0}))
  if [ -n "$days" ]; then
    echo $(((10#$days * 24 + first) * 60 + second))
  elif [ -n "${BASH_REMATCH[6]}" ]; then
    echo $((first * 60 + second))
  else
    echo "$first"
  fi
}

nodes=1 gpus=1 cpus="" time="" partition="" account="" sbatch=""
parse "nodes gpus cpus time partition account sbatch" "" "$@"
positive nodes ${cpus:+cpus}
[[ "$gpus" =~ ^[0-9]+$ ]] || fail "--gpus=$gpus is not a number"
if [ -n "$time" ] && [[ "$time" != UNLIMITED && "$time" != INFINITE ]]; then
  limit="$(minutes "$time")" || fail "--time=$time is no limit; give it as 12:00:00, or 1-12 for 36 hours"
  # The signal comes three or four minutes before the end, and a run has to start first.
  [ "$limit" -eq 0 ] || [ "$limit" -ge 10 ] ||
    fail "--time=$time leaves no time to train before the job must save; give 10 minutes at least"
fi
need_training
[[ "$workdir" != *://* ]] ||
  fail "--workdir=$workdir is an address; give a folder that all nodes share"
installed sbatch
find_hop

# One job of a name runs at once, and the name is that of one folder, however it is written.
folder="$(realpath -m -- "${workdir/#\~\//$HOME/}")"
digest="$(printf %s "$folder" | sha256sum)"
name="$(basename -- "$folder")"
submit=(
  sbatch --job-name="hop-${name//[^A-Za-z0-9._-]/_}-${digest:0:8}" --dependency=singleton
  --output=%x.log --open-mode=append --requeue --signal=B:USR1@180 --nodes="$nodes"
)
if [ "$gpus" -gt 0 ]; then
  # Not --gpus-per-task: JAX gives GPU i to the node's i-th task, which therefore must see them all.
  submit+=(--ntasks-per-node="$gpus" --gpus-per-node="$gpus")
else
  submit+=(--ntasks-per-node=1)
fi
read -ra more <<<"$sbatch"
submit+=(
  ${cpus:+"--cpus-per-task=$cpus"}
  ${time:+"--time=$time"} ${partition:+"--partition=$partition"} ${account:+"--account=$account"}
  ${more[@]+"${more[@]}"}
)
run "${submit[@]}" "$root/launch/slurm_job.sh" "$folder" "$bin" train "${train[@]}"
