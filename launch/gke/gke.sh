#!/usr/bin/env bash
# Trains on a GKE cluster with JobSet: fills in jobset-tpu.yaml or jobset-gpu.yaml and applies it.
#
#   launch/gke/gke.sh --name hop --image IMAGE --accelerator tpu-v5-lite-podslice --topology 4x4 \
#     --nodes 4 --chips 4 -- --config=configs/burgers_time.py --workdir=gs://BUCKET/RUN
#   launch/gke/gke.sh --name hop --image IMAGE --accelerator nvidia-h100-80gb --nodes 2 --gpus 8 -- …
#
#   --name NAME            of the JobSet
#   --image IMAGE          built from launch/Dockerfile
#   --accelerator A        label of the nodes, gke-tpu-accelerator or gke-accelerator
#   --topology T           of the TPU slice, as 4x4; without it, GPUs
#   --nodes N              hosts of the slice, or GPU nodes (default 1)
#   --chips N  --gpus N    of each node (default 4; 1)
#   --service-account S    that may write to the bucket (default "default")
#   --namespace S          --context C, both as in kubectl
#   --restarts N           runs that fail and saved nothing new, after which to give up (default 3)
#   --dry-run              show what would be applied
#
# Everything after -- goes to `hop train`; configs are those of the image. Stopped pods save and start
# again together. The same line again leaves a running job alone and starts an ended one again, which
# goes on from the bucket. Needs JobSet 0.10 or newer.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=../common.sh
source "$(dirname "$0")/../common.sh"

name="" image="" accelerator="" topology="" nodes=1 chips=4 gpus=1 restarts=3
service_account=default namespace="" context=""
parse "name image accelerator topology nodes chips gpus service_account namespace context restarts" \
  "" "$@"
need name image accelerator
positive nodes chips gpus restarts
need_training
in_bucket
[[ "$name" =~ ^[a-z]([-a-z0-9]{0,30}[a-z0-9])?$ ]] ||
  fail "--name=$name cannot name a pod's host; use at most 32 of a-z, 0-9 and -, a letter first"
[[ "$image$accelerator$topology$service_account" =~ ^[A-Za-z0-9_./:@-]+$ ]] ||
  fail "--image, --accelerator, --topology or --service-account has a character that none can have"
[[ -n "$topology" || "$accelerator" != tpu* ]] ||
  fail "--accelerator=$accelerator is a TPU; name the slice too, as --topology 4x4"
if [[ -n "$topology" ]]; then
  [[ "$accelerator" == tpu* ]] || fail "--topology=$topology is a TPU slice's, and \
--accelerator=$accelerator is none; leave it out for GPUs"
  [[ "$topology" =~ ^[1-9][0-9]*(x[1-9][0-9]*)+$ ]] ||
    fail "--topology=$topology is no slice; give its sides, as 4x4"
  ((${topology//x/*} == nodes * chips)) || fail "--topology=$topology has $((${topology//x/*})) \
chips, and $nodes nodes with $chips chips each have others; set --nodes and --chips"
fi
installed kubectl

rendered() { # JSON is YAML; Kubernetes reads $$ in an argument as $
  NAME="$name" IMAGE="$image" ACCELERATOR="$accelerator" TOPOLOGY="$topology" NODES="$nodes" \
    CHIPS="$chips" GPUS="$gpus" SERVICE_ACCOUNT="$service_account" RESTARTS="$restarts" BUCKET="$bucket" \
    python3 - "$root/launch/gke/jobset-$1.yaml" "$mounted" "${train[@]}" <<'PYTHON'
import json, os, string, sys

def listed(*words):
    return json.dumps([word.replace("$", "$$") for word in words])


template, workdir, *words = sys.argv[1:]
command = listed("/opt/hop/launch/again.sh", workdir, "hop")
filled = {**os.environ, "COMMAND": command, "ARGS": listed("train", *words)}
print(string.Template(open(template).read()).substitute(filled), end="")
PYTHON
}

manifest="$(rendered "$([ -n "$topology" ] && echo tpu || echo gpu)")"
kubectl=(kubectl ${context:+"--context=$context"} ${namespace:+"--namespace=$namespace"})
if [ -n "$dry_run" ]; then
  echo "$(quoted "${kubectl[@]}" apply --filename=-) <<'YAML'"
  printf '%s\nYAML\n' "$manifest"
  exit 0
fi
ended="$("${kubectl[@]}" get jobset "$name" --ignore-not-found --output='jsonpath={.status.terminalState}')"
[ -z "$ended" ] || run "${kubectl[@]}" delete jobset "$name"
run "${kubectl[@]}" apply --filename=- <<<"$manifest"
echo "to follow it: $(quoted "${kubectl[@]}" logs --follow "job/$name-hop-0")"
