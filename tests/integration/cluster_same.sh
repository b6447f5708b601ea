#!/bin/sh
# A network by containers gives the chain and the weights of `train`, also when its processes are killed meanwhile.
. "$(dirname "$0")/lib.sh"
cp "$SOURCE"/examples/xor/* .
trap '"$CUTTLEFISH" down "$file" --run cluster >/dev/null 2>&1; rm -rf "$WORK"' EXIT

# same FILE STEPS: train and up --wait, with a container for each neuron.
same() {
    file=$1
    run train "$file" --run single --steps "$2" --json --quiet
    expect_code 0
    grep -o '"chain.*"weights":"[0-9a-f]*"' out >expected
    run up "$file" --set placement.neurons_per_container=1 --run cluster --steps "$2"
    expect_code 0
    for i in 1 2 3 4 5; do
        pid=$("$CUTTLEFISH" status "$file" --set placement.neurons_per_container=1 --run cluster --json |
            grep -o '"pid":[0-9]*' | sed -n "$((i + 2))s/.*://p")
        [ -n "$pid" ] && kill -9 "$pid" 2>/dev/null
    done
    run up "$file" --set placement.neurons_per_container=1 --run cluster --steps "$2" --wait --json --quiet
    expect_code 0
    grep -o '"chain.*"weights":"[0-9a-f]*"' out >got
    cmp -s expected got || failed "other bits than train: $(cat expected) and $(cat got)"
    run evaluate "$file" --run cluster
    expect_code 0
    run down "$file" --run cluster
    expect_code 0
    [ ! -e cluster/cluster ] || failed "the cluster's folder is still there"
    rm -rf single cluster
}

same xor.yaml 300
if [ -n "${CUTTLEFISH_DATA:-}" ]; then
    same "$SOURCE/examples/mnist/nielsen.yaml" 200
fi
finish
