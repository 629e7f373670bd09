#!/usr/bin/env bash
# Trains on a Cloud TPU slice: asks for it, waits, installs hop on its hosts, trains on all of them.
#
#   launch/tpu_vm.sh --name hop --type v5litepod-16 --zone us-west4-a --spot -- \
#     --config=configs/burgers_time.py --workdir=gs://BUCKET/RUN
#
#   --name NAME      of the request (a queued resource) and of its slice
#   --type T         accelerator type: v4-8, v5litepod-16, v5p-8, v6e-8, …
#   --zone Z         a zone that has it
#   --project P      gcloud's own setting without it
#   --runtime V      TPU software version; follows from the type
#   --spot           cheaper, and can be preempted
#   --keep           keep the slice when training is done (it costs money until you delete it)
#   --restarts N     give up after N preemptions or lost connections (default 100)
#   --poll SECONDS   between looks at the request (default 30)
#   --dry-run        show the commands of a run without preemption
#
# Everything after -- goes to `hop train`; configs are those of this checkout. A preempted slice is
# asked for again, and training goes on from the bucket. So does the same line again, at any time.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=common.sh
source "$(dirname "$0")/common.sh"

name="" type="" zone="" project="" runtime="" spot="" keep="" restarts=100 poll=30
parse "name type zone project runtime restarts poll" "spot keep" "$@"
need name type zone
positive restarts
need_training
in_bucket
[ -n "$runtime" ] || case "$type" in
  v5litepod-*) runtime=v2-alpha-tpuv5-lite ;;
  v5p-*) runtime=v2-alpha-tpuv5 ;;
  v6e-*) runtime=v2-alpha-tpuv6e ;;
  v[234]-*) runtime=tpu-ubuntu2204-base ;;
esac
[ -n "$runtime" ] || fail "no TPU software is known for --type=$type; give --runtime VERSION"
installed gcloud

place=(--zone="$zone" ${project:+"--project=$project"})
requests=(gcloud compute tpus queued-resources)
hosts=(gcloud compute tpus tpu-vm)

state() {
  "${requests[@]}" list "${place[@]}" --filter="name~(^|/)$name\$" --format="value(state.state)"
}
create() {
  run "${requests[@]}" create "$name" --node-id="$name" "${place[@]}" \
    --accelerator-type="$type" --runtime-version="$runtime" ${spot:+--spot}
}
delete() { run "${requests[@]}" delete "$name" "${place[@]}" --force --quiet; }
on_all() { run "${hosts[@]}" ssh "$name" "${place[@]}" --worker=all --quiet --command="$1"; }

# uv, since the TPU images have an older Python. A host must see at once what another wrote into the
# bucket, and Orbax renames folders.
install() {
  local archive="${TMPDIR:-/tmp}/hop-$name.tgz"
  run tar -C "$root" --exclude=__pycache__ -czf "$archive" \
    pyproject.toml requirements.txt README.md LICENSE hop configs data pretrained &&
    run "${hosts[@]}" scp "$archive" "$name:hop.tgz" "${place[@]}" --worker=all --quiet &&
    on_all "mkdir -p hop && tar -xzf hop.tgz -C hop && cd hop && \
python3 -m pip install --quiet --user uv && \
python3 -m uv venv --quiet --allow-existing --python 3.11 .venv && \
python3 -m uv pip install --quiet --constraint requirements.txt --editable '.[tpu]'" &&
    on_all "command -v gcsfuse >/dev/null || { \
curl -fsSL https://packages.cloud.google.com/apt/doc/apt-key.gpg | \
sudo tee /usr/share/keyrings/cloud.google.asc >/dev/null && \
echo \"deb [signed-by=/usr/share/keyrings/cloud.google.asc] \
https://packages.cloud.google.com/apt gcsfuse-\$(lsb_release -cs) main\" | \
sudo tee /etc/apt/sources.list.d/gcsfuse.list >/dev/null && \
sudo apt-get -qq update && sudo apt-get -qq install gcsfuse; }" &&
    on_all "mountpoint -q /gcs/$bucket || { sudo install -d -o \"\$USER\" /gcs/$bucket && \
gcsfuse --implicit-dirs --metadata-cache-ttl-secs=0 --rename-dir-limit=100000 $bucket /gcs/$bucket; }"
}

train() { # what an earlier line left running saves and stops first: a TPU serves one process
  on_all "cd hop && { pkill -x hop; while pgrep -x hop >/dev/null; do sleep 1; done; \
HOP_DISTRIBUTED=1 exec .venv/bin/hop train $(quoted "${train[@]}"); }"
}

if [ -n "$dry_run" ]; then
  create
  install
  train
  [ -n "$keep" ] || delete
  exit 0
fi

for ((lost = 0; lost <= restarts; )); do
  now="$(state)"
  case "$now" in
    "")
      create
      sleep "$poll"
      ;;
    ACTIVE)
      code=0
      { install && train; } || code=$?
      if [ "$code" -eq 0 ]; then
        [ -n "$keep" ] || delete
        exit 0
      fi
      sleep "$poll" # a preemption breaks the connection first and shows in the state later
      # 75: saved on a signal; 255: ssh lost its host.
      if [ "$code" -ne 75 ] && [ "$code" -ne 255 ] && [ "$(state)" = ACTIVE ]; then
        echo "$launcher: hop failed with code $code; $name is kept, and costs money until you run:" >&2
        dry_run=yes delete >&2
        exit "$code"
      fi
      lost=$((lost + 1))
      ;;
    SUSPENDED) delete ;; # preempted
    FAILED)
      delete
      echo "$launcher: the request failed, for want of quota or of TPUs in $zone; run again" >&2
      exit 1
      ;;
    *) sleep "$poll" ;; # queued, on its way in, or on its way out
  esac
done
echo "$launcher: preempted $lost times; run the same line again to go on" >&2
exit 75
