#!/usr/bin/env bash
# Trains on a cluster that xpk made, on one TPU slice.
#
#   launch/gke/xpk.sh --name hop --cluster C --type v5litepod-16 --image IMAGE -- \
#     --config=configs/burgers_time.py --workdir=gs://BUCKET/RUN
#
#   --name NAME       of the workload
#   --cluster C       that `xpk cluster create` made, with the bucket attached once, as by
#                     xpk storage attach BUCKET --cluster=C --type=gcsfuse --auto-mount=true
#                     --bucket=BUCKET --mount-point=/gcs/BUCKET
#   --type T          xpk's TPU type: v5litepod-16, v5p-8, v6e-16, …
#   --image IMAGE     built from launch/Dockerfile with EXTRA=tpu
#   --project P       --zone Z, gcloud's own settings without them
#   --restarts N      restarts, of preemptions and failures alike, after which to give up (default 100)
#   --dry-run         show what would be run
#
# Everything after -- goes to `hop train`; configs are those of the image. A stopped workload saves and
# starts again. Once it has ended, the same line again starts it again, from the bucket.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=../common.sh
source "$(dirname "$0")/../common.sh"

name="" cluster="" type="" image="" project="" zone="" restarts=100
parse "name cluster type image project zone restarts" "" "$@"
need name cluster type image
positive restarts
need_training
in_bucket
installed xpk
installed kubectl

where=(--workload="$name" --cluster="$cluster" ${project:+"--project=$project"} ${zone:+"--zone=$zone"})
if [ -z "$dry_run" ]; then # xpk refuses a name that an ended workload still has
  ended="$(kubectl get jobset "$name" --ignore-not-found --output='jsonpath={.status.terminalState}')"
  [ -z "$ended" ] || run xpk workload delete "${where[@]}" --force
fi
# exec: xpk signals the shell that it starts, and again.sh, which tells hop, must be what it hits.
# Kubernetes reads $$ as $. xpk itself restarts after 42 and 127 to 255, and no other code but these.
words="$(quoted /opt/hop/launch/again.sh "$mounted" hop train "${train[@]}")"
run xpk workload create "${where[@]}" --tpu-type="$type" --docker-image="$image" \
  --env=HOP_DISTRIBUTED=1 --termination-grace-period-seconds=120 \
  --max-restarts="$restarts" --restart-on-exit-codes=75 \
  --command="exec ${words//\$/\$\$}"
