#!/usr/bin/env bash
# Trains on a cluster that xpk made, on one TPU slice.
#
#   launch/gke/xpk.sh --name hop --cluster C --type v5litepod-16 --image IMAGE --storage S -- \
#     --config=configs/burgers_time.py --workdir=/bucket/RUN
#
#   --name NAME       of the workload
#   --cluster C       that `xpk cluster create` made
#   --type T          xpk's TPU type: v5litepod-16, v5p-8, v6e-16, …
#   --image IMAGE     built from launch/Dockerfile with EXTRA=tpu
#   --storage S       a bucket that `xpk storage attach S --mount-point=/bucket …` knows
#   --project P       --zone Z, gcloud's own settings without them
#   --restarts N      restarts, of preemptions and failures alike, after which to give up (default 100)
#   --dry-run         show what would be run
#
# Everything after -- goes to `hop train`; configs are those of the image. A stopped workload saves and
# starts again. Once it has ended, the same line again starts it again, from the bucket.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=../common.sh
source "$(dirname "$0")/../common.sh"

name="" cluster="" type="" image="" storage="" project="" zone="" restarts=100
parse "name cluster type image storage project zone restarts" "" "$@"
need name cluster type image storage
positive restarts
need_training
[[ "$workdir" == /* ]] ||
  fail "--workdir=$workdir is lost with its machine; give a folder where --storage=$storage is mounted"
installed xpk
installed kubectl

where=(--workload="$name" --cluster="$cluster" ${project:+"--project=$project"} ${zone:+"--zone=$zone"})
if [ -z "$dry_run" ]; then # xpk refuses a name that an ended workload still has
  ended="$(kubectl get jobset "$name" --ignore-not-found --output='jsonpath={.status.terminalState}')"
  [ -z "$ended" ] || run xpk workload delete "${where[@]}" --force
fi
# exec: xpk signals the shell that it starts, and hop must be what it hits. Kubernetes reads $$ as $.
words="$(quoted "${train[@]}")"
run xpk workload create "${where[@]}" --tpu-type="$type" --docker-image="$image" --storage="$storage" \
  --env=HOP_DISTRIBUTED=1 --termination-grace-period-seconds=120 \
  --max-restarts="$restarts" --restart-on-exit-codes=75 \
  --command="exec hop train ${words//\$/\$\$}"
