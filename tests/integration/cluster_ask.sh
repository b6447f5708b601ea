#!/bin/sh
# A running network is asked: while it trains, and at its end, when it says to the last digit what its checkpoint says.
. "$(dirname "$0")/lib.sh"
cp "$SOURCE"/examples/xor/* .
trap '"$CUTTLEFISH" down "$file" --run cluster >/dev/null 2>&1; rm -rf "$WORK"' EXIT

# asked FILE STEPS OUTPUTS INPUT...
asked() {
    file=$1 steps=$2 outputs=$3
    shift 3
    run predict "$file" "$1" --running --run cluster
    expect_code 1
    expect_err "there is no cluster of this network in cluster"
    run up "$file" --set placement.neurons_per_container=1 --run cluster --steps "$steps"
    expect_code 0
    answers=0
    for i in 1 2 3 4 5; do
        run predict "$file" "$1" --running --run cluster --json
        if [ "$code" = 0 ]; then
            answers=$((answers + 1))
            python3 -c 'import json, sys
answer = json.load(open("out"))
values = answer.get("probabilities") or answer["outputs"]
sys.exit(0 if len(values) == int(sys.argv[1]) and all(0 <= v <= 1 for v in values) else 1)' "$outputs" ||
                failed "not $outputs probabilities"
        else
            expect_code 1
            expect_err "has no answer now"
        fi
    done
    echo "$file: $answers of 5 questions answered while it trains or just after"
    run up "$file" --run cluster --steps "$steps" --wait --keep --json --quiet
    expect_code 0
    for input in "$@"; do
        run predict "$file" "$input" --run cluster --json
        expect_code 0
        mv out expected
        run predict "$file" "$input" --running --run cluster --json
        expect_code 0
        cmp -s expected out || failed "the checkpoint says $(cat expected)"
    done
    run evaluate "$file" --run cluster --json
    expect_code 0
    sed 's/"loss": *[^,]*/"loss": null/' out >expected
    run evaluate "$file" --running --run cluster --json
    expect_code 0
    sed 's/"loss": *[^,]*/"loss": null/' out >got
    cmp -s expected got || failed "the checkpoint says $(cat expected)"
    run predict "$file" "$1" --running --run cluster --threads 2
    expect_code 2
    expect_err "--threads"
    run down "$file" --run cluster --keep
    expect_code 0
    run evaluate "$file" --running --run cluster
    expect_code 1
    expect_err "nothing runs"
    run down "$file" --run cluster
    rm -rf cluster
}

asked xor.yaml 300 1 train:0 train:1 train:2 train:3
if [ -n "${CUTTLEFISH_DATA:-}" ]; then
    asked "$SOURCE/examples/mnist/nielsen.yaml" 300 10 test:0 test:17 test:9999
fi
finish
