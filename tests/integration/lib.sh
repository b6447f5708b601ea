# Sourced by the scripts of this folder: `. "$(dirname "$0")/lib.sh"`. Arguments of each: command, source folder.
# The script runs in an empty folder of its own, which goes away at the end.
set -u
CUTTLEFISH=$1
# shellcheck disable=SC2034
SOURCE=$2
HERE=$(cd "$(dirname "$0")" && pwd)
WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT
cd "$WORK" || exit 1
export NO_COLOR=1 LC_ALL=C
unset CUTTLEFISH_THREADS CUTTLEFISH_KERNELS
failures=0
checks=0

# run ARGUMENT...: the command; leaves $code and the files out and err.
run() {
    line="cuttlefish $*"
    "$CUTTLEFISH" "$@" >out 2>err </dev/null
    code=$?
    checks=$((checks + 1))
}

failed() {
    failures=$((failures + 1))
    printf 'FAILED: %s\n  %s\n' "$line" "$1"
    printf '  exit code %s\n  --- stdout\n' "$code"
    sed 's/^/  /' out | head -40
    printf '  --- stderr\n'
    sed 's/^/  /' err | head -40
}

expect_code() {
    [ "$code" = "$1" ] || failed "expected exit code $1"
}

# expect_out TEXT, expect_err TEXT: a whole line or part of one, exactly.
expect_out() {
    grep -qF -e "$1" out || failed "stdout lacks: $1"
}

expect_err() {
    grep -qF -e "$1" err || failed "stderr lacks: $1"
}

expect_silent_err() {
    [ ! -s err ] || failed "stderr is not empty"
}

expect() { # expect TEXT COMMAND...: the command must succeed
    text=$1
    shift
    "$@" || failed "$text"
}

# json FILE KEY...: a value of the last line of FILE
json() {
    python3 -c 'import json, sys
value = json.loads(open(sys.argv[1]).read().strip().splitlines()[-1])
for key in sys.argv[2:]:
    value = value[int(key) if isinstance(value, list) else key]
print(value)' "$@"
}

# A data set of two rings, 240 rows, and a network for it.
write_rings() {
    awk 'BEGIN {
        for (i = 0; i < 240; i++) {
            ring = i % 2; angle = i * 2.39996; radius = 1 + ring * 1.5 + 0.3 * sin(i * 12.9898);
            printf "%.4f,%.4f,%s\n", radius * cos(angle), radius * sin(angle), ring ? "outer" : "inner"
        }
    }' >rings.csv
    head -60 rings.csv >rings-test.csv
    cat >rings.yaml <<'YAML'
cuttlefish: 1
name: rings
seed: 3
data: {csv: {train: rings.csv, test: rings-test.csv, label: last}, validation: 40}
network:
  layers:
    - dense: {name: hidden, units: 16, activation: tanh}
    - dense: {name: output, units: 2}
  loss: softmax_cross_entropy
training:
  epochs: 20
  batch: 10
  optimizer: {sgd: {rate: 0.2, momentum: 0.9}}
YAML
}

finish() {
    printf '%s commands run, %s failures\n' "$checks" "$failures"
    [ "$failures" = 0 ]
    exit
}
