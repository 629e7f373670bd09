#!/usr/bin/env bash
# Submits training to SLURM: one process per GPU, on any number of nodes.
#
#   launch/slurm.sh --nodes 2 --gpus 8 --time 12:00:00 -- --config=configs/burgers_time.py --workdir=W
#
#   --nodes N         nodes (default 1)
#   --gpus N          GPUs, and so processes, of each node (default 1; 0: one process on its CPUs)
#   --time T          limit of one run of the job, which goes on in the next
#   --partition P     the site's default without it; likewise:
#   --account A
#   --sbatch OPTIONS  more options for sbatch, as --sbatch '--mem=64G --qos=high'
#   --dry-run         show what would be submitted
#
# W is a folder that all nodes share. Everything after -- goes to `hop train`. Two minutes before its
# limit, and when preempted, the job saves and queues itself again. The same line again goes on where
# W stopped; while a job still trains W, the new one waits for it.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=common.sh
source "$(dirname "$0")/common.sh"

nodes=1 gpus=1 time="" partition="" account="" sbatch=""
parse "nodes gpus time partition account sbatch" "" "$@"
positive nodes
[[ "$gpus" =~ ^[0-9]+$ ]] || fail "--gpus=$gpus is not a number"
need_training
[[ "$workdir" != *://* ]] ||
  fail "--workdir=$workdir is an address; give a folder that all nodes share"
installed sbatch
find_hop

# The signal is for the tasks: with B: it would reach only the batch shell, which has nothing to save
# and must stay to queue the job again. A job's name is its workdir's, and one of a name runs at once.
name="${workdir#/}"
submit=(
  sbatch --job-name="hop-${name//\//-}" --dependency=singleton --output=%x.log --open-mode=append
  --requeue --signal=TERM@120 --nodes="$nodes"
)
if [ "$gpus" -gt 0 ]; then
  # Not --gpus-per-task: JAX gives GPU i to the node's i-th task, which therefore must see them all.
  submit+=(--ntasks-per-node="$gpus" --gpus-per-node="$gpus")
else
  submit+=(--ntasks-per-node=1)
fi
read -ra more <<<"$sbatch"
submit+=(
  ${time:+"--time=$time"} ${partition:+"--partition=$partition"} ${account:+"--account=$account"}
  ${more[@]+"${more[@]}"}
)

# Tasks that are still saving live on when another has exited; JAX ends those that lost one.
job="#!/usr/bin/env bash
export HOP_DISTRIBUTED=1
code=0
srun --kill-on-bad-exit=0 $(quoted "$bin" train "${train[@]}") || code=\$?
[ \"\$code\" -ne 75 ] || exec scontrol requeue \"\$SLURM_JOB_ID\" # saved, more to do
exit \"\$code\""

if [ -n "$dry_run" ]; then
  echo "$(quoted "${submit[@]}") <<'JOB'"
  printf '%s\nJOB\n' "$job"
else
  run "${submit[@]}" <<<"$job"
fi
