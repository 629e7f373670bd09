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
# Leave this running, where it outlives your session (in tmux, say): without it a slice bills on.
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
  run tar -C "$root" --exclude=__pycache__ -czf "$own/hop.tgz" \
    pyproject.toml requirements.txt README.md LICENSE hop configs data launch pretrained &&
    run "${hosts[@]}" scp "$own/hop.tgz" "$name:hop.tgz" "${place[@]}" --worker=all --quiet &&
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

# What an earlier line left running saves and stops first: a TPU serves one process. gcloud ends with
# the code of the first host that failed, or with 1 for an error of its own: 100 more is hop's code.
train() {
  on_all "cd hop && { pkill -x hop; while pgrep -x hop >/dev/null; do sleep 1; done; \
HOP_DISTRIBUTED=1 launch/again.sh $(quoted "$mounted" .venv/bin/hop train "${train[@]}") || \
exit \$((100 + \$?)); }"
}

if [ -n "$dry_run" ]; then
  own=/tmp/hop.XXXXXX
  create
  install
  train
  [ -n "$keep" ] || delete
  exit 0
fi

own="$(mktemp -d "${TMPDIR:-/tmp}/hop.XXXXXX")" # a name that nobody else can have made first
there="" seen="" # whether the request is there, and may cost money; whether it ever was
trained="" lost=0 errors=0
# shellcheck disable=SC2329 # the trap runs it
farewell() {
  rm -rf "$own"
  [ -n "$there" ] || return 0
  echo "$launcher: $name is kept, and costs money until you run:" >&2
  dry_run=yes delete >&2
}
trap farewell EXIT

# gcloud failed. What fails at first, as without a sign-in, is for you to see; later a passing error
# must not end this, while a slice bills. Waits longer each time, in all for some 50 minutes.
oops() { # oops CODE [TRIES]
  errors=$((errors + 1))
  [ -n "$seen" ] && [ "$errors" -lt "${2:-15}" ] || exit "$1"
  echo "$launcher: gcloud failed with code $1; trying again" >&2
  sleep $((poll * errors))
}

while [ "$lost" -le "$restarts" ]; do
  now="$(state)" || { oops $?; continue; }
  there="${now:+yes}" seen="$seen$there"
  case "$now" in
    "")
      [ -z "$trained" ] || exit 0 # deleted, though gcloud said otherwise
      create || { oops $?; continue; }
      there=yes seen=yes
      sleep "$poll"
      ;;
    ACTIVE)
      if [ -z "$trained" ]; then
        install || { oops $? 5; continue; }
        code=0
        train || code=$?
        errors=0
        if [ "$code" -ne 0 ]; then
          sleep "$poll" # a preemption breaks the connection first and shows in the state later
          # 75: hop saved, and there is more to do; beyond 128: something killed it; 255: ssh lost its
          # host; 1: gcloud.
          if [ "$code" -gt 100 ] && [ "$code" -lt 228 ] && [ "$code" -ne 175 ] &&
            [ "$(state)" = ACTIVE ]; then
            echo "$launcher: hop failed with code $((code - 100))" >&2
            exit $((code - 100))
          fi
          lost=$((lost + 1))
          continue
        fi
        trained=yes
      fi
      [ -z "$keep" ] || exit 0
      delete || { oops $?; continue; }
      there=""
      exit 0
      ;;
    SUSPENDED) # preempted
      delete || { oops $?; continue; }
      there=""
      ;;
    FAILED)
      delete || { oops $?; continue; }
      there=""
      echo "$launcher: the request failed, for want of quota or of TPUs in $zone; run again" >&2
      exit 1
      ;;
    *) errors=0 && sleep "$poll" ;; # queued, on its way in, or on its way out
  esac
done
echo "$launcher: preempted $lost times; run the same line again to go on" >&2
exit 75
