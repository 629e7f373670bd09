# shellcheck shell=bash
# What the launchers share: options, early refusals, quoting, dry runs. Sourced, not run.

root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
launcher="$(cd "$(dirname "$0")" && pwd)/$(basename "$0")"
launcher="${launcher#"$root"/}"
dry_run="" bucket="" train=()

usage() { sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0"; }
fail() { echo "$launcher: $1" >&2; exit 2; }

# parse "OPTION …" "FLAG …" "$@": --OPTION VALUE into $OPTION, --FLAG sets $FLAG, -- ARGS into $train.
parse() {
  local options=" $1 " flags=" $2 dry_run " word variable
  shift 2
  while [ $# -gt 0 ]; do
    word="${1%%=*}" variable="${1#--}"
    variable="${variable%%=*}" variable="${variable//-/_}"
    case "$1" in
      --help | -h) usage; exit 0 ;;
      --) shift; train=("$@"); break ;;
      --*) ;;
      *) fail "unexpected $1; options come before --, words for hop train after it" ;;
    esac
    if [[ "$flags" == *" $variable "* && "$1" == "$word" ]]; then
      printf -v "$variable" yes
    elif [[ "$options" != *" $variable "* ]]; then
      fail "unknown option $1; see --help"
    elif [[ "$1" == *=* ]]; then
      printf -v "$variable" %s "${1#*=}"
    else
      [ $# -gt 1 ] && [ "$2" != -- ] || fail "$1 needs a value; see --help"
      printf -v "$variable" %s "$2"
      shift
    fi
    shift
  done
}

need_training() { # and sets $workdir
  workdir="$(value_of --workdir)"
  [ -n "$workdir" ] && [ -n "$(value_of --config)" ] ||
    fail "nothing to train; give -- --config=FILE --workdir=W"
}

# The value of a flag among the words for hop train.
value_of() {
  local word value="" next=""
  for word in ${train[@]+"${train[@]}"}; do
    [ -z "$next" ] || value="$word"
    next=""
    case "$word" in
      "$1") next=yes ;;
      "$1"=*) value="${word#*=}" ;;
    esac
  done
  printf %s "$value"
}

need() { # need OPTION …: refuses where one has no value
  local variable
  for variable; do
    [ -n "${!variable}" ] || fail "--${variable//_/-} is missing; see --help"
  done
}

positive() { # positive OPTION …: refuses what is not a positive number
  local variable
  for variable; do
    [[ "${!variable}" =~ ^[1-9][0-9]*$ ]] ||
      fail "--${variable//_/-}=${!variable} is not a positive number"
  done
}

in_bucket() { # the bucket is mounted at /gcs/$bucket, and hop is given that path; sets $mounted
  [[ "$workdir" =~ ^gs://([a-z0-9._-]+)/.+ ]] ||
    fail "--workdir=$workdir is lost with its machine; give a bucket and a folder in it, as \
--workdir=gs://BUCKET/RUN"
  export bucket="${BASH_REMATCH[1]}" mounted="/gcs/${workdir#gs://}"
  train=("${train[@]/#--workdir=gs:\/\//--workdir=\/gcs\/}")
  train=("${train[@]/#gs:\/\//\/gcs\/}")
}

find_hop() { # sets $bin: the hop of this checkout, else the one on PATH
  bin="$root/.venv/bin/hop"
  [ -x "$bin" ] || bin="$(command -v hop)" || fail "hop is not installed; run make install"
}

installed() { # a dry run needs no tool
  [ -n "$dry_run" ] || command -v "$1" >/dev/null || fail "$1 is not installed; see launch/README.md"
}

quoted() { # words as one line of shell, quoted only where they must be
  local word line=""
  for word; do
    [[ "$word" =~ ^[A-Za-z0-9_./:=,@%+-]+$ ]] || word="${word@Q}"
    line+="${line:+ }$word"
  done
  printf '%s\n' "$line"
}

run() { # runs a command and shows it first, or only shows it
  if [ -n "$dry_run" ]; then quoted "$@"; else quoted "+" "$@" >&2 && "$@"; fi
}
