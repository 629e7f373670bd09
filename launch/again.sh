#!/usr/bin/env bash
# Runs a command that trains, and ends with 75, "run me again", wherever that would get further.
#
#   again.sh WORKDIR COMMAND …
#
# hop ends with 75 itself when it is told to stop. But where a machine of the job is lost, or memory
# ran out, or the kernel killed it, its code says nothing of whether it had saved by then: the workdir
# does. 0 (done) and 2 (a request that cannot be served) stay; so does any code where the newest
# checkpoint is still that of the start, since the same would happen again.
set -uo pipefail
workdir="$1"
shift

checkpoints() {
  find "$workdir/stages" "$workdir/rolling" -maxdepth 1 -regex '.*/[0-9]+' 2>/dev/null | sort
}

before="$(checkpoints)"
"$@" &
child=$!
trap 'kill -TERM "$child"' TERM # a cluster signals this process; hop must hear it, and may take a while
while true; do
  code=0
  wait "$child" || code=$?
  kill -0 "$child" 2>/dev/null || break # else it was the signal that ended the wait
done
case "$code" in
  0 | 2 | 75) exit "$code" ;;
esac
[ "$(checkpoints)" = "$before" ] || exit 75
exit "$code"
