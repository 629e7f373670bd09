#!/usr/bin/env bash
# The job that slurm.sh submits: trains in the tasks of this job, and queues it again to go on.
#
#   slurm_job.sh WORKDIR HOP train …
#
# Near its limit SLURM signals this shell (USR1), which has the tasks save (TERM). It is queued again
# after that, after the end of a task by a signal, and after a failure that had saved something new: but
# not where three runs in a row ended at the same checkpoint.
set -uo pipefail
workdir="$1"
shift

say() { echo "slurm_job.sh: $1" >&2; }

newest() { # time and name of the newest whole checkpoint
  find "$workdir/stages" "$workdir/rolling" -maxdepth 1 -regex '.*/[0-9]+' -printf '%T@ %p\n' \
    2>/dev/null | sort -n | tail -n 1
}

again() {
  mkdir -p "$workdir"
  echo "$SLURM_JOB_ID $(newest)" >>"$workdir/requeues"
  if [ "$(tail -n 3 "$workdir/requeues" | uniq -c | awk '{ print $1; exit }')" -eq 3 ]; then
    say "three runs in a row have saved nothing new: not queued again. See above what ended them; \
where that is the limit, give a longer --time or a smaller config.train.dispatch"
    return 1
  fi
  scontrol requeue "$SLURM_JOB_ID"
}

# A process sees one MIG device, and JAX gives the i-th task of a node the i-th device.
if [[ "${CUDA_VISIBLE_DEVICES:-}" == MIG-*,* ]]; then
  say "MIG devices cannot train together; ask for whole GPUs, or for one MIG device with --gpus 1"
  exit 2
fi

# shellcheck disable=SC2329 # the trap runs it
late() {
  scancel --signal=TERM "$SLURM_JOB_ID" # the tasks; srun would make of a TERM to itself a KILL
  { # a window or a save may take longer than there is time
    sleep 120 &
    trap 'kill $!' TERM
    wait $! && say "not saved within two minutes: from the last checkpoint" && again
  } &
  timer=$!
}
timer=""
trap late USR1
trap 'kill $timer 2>/dev/null' EXIT

# From 22.05 to 23.02 srun does not take the CPUs of a task from the job. Tasks that are still saving
# live on when another has exited; JAX ends those that lost one.
before="$(newest)"
export HOP_DISTRIBUTED=1
srun --kill-on-bad-exit=0 ${SLURM_CPUS_PER_TASK:+"--cpus-per-task=$SLURM_CPUS_PER_TASK"} "$@" &
step=$!
while true; do
  code=0
  wait "$step" || code=$?
  kill -0 "$step" 2>/dev/null || break # else it was the signal that ended the wait
done
case "$code" in # srun gives the highest code of all tasks
  0 | 2) ;; # done, or nothing that could be done
  75) again && exit 0 ;; # saved, more to do
  *) [ "$code" -lt 128 ] && [ "$(newest)" = "$before" ] || { again && exit 0; } ;; # 128: killed
esac
exit "$code"
