#!/bin/sh
# A running network is cut anew, three times; the bits stay; `down` leaves neither process nor folder.
. "$(dirname "$0")/lib.sh"
cp "$SOURCE"/examples/xor/* .
trap '"$CUTTLEFISH" down "$file" --run cluster >/dev/null 2>&1; rm -rf "$WORK"' EXIT
file=xor.yaml steps=500 counts="3 6 4"
if [ -n "${CUTTLEFISH_DATA:-}" ]; then
    file=$SOURCE/examples/mnist/nielsen.yaml steps=3000 counts="5 42 10"
fi

run train "$file" --run single --steps "$steps" --json --quiet
expect_code 0
grep -o '"chain.*"weights":"[0-9a-f]*"' out >expected
run up "$file" --run cluster --steps "$steps" --containers 1
expect_code 0
for count in $counts; do
    run scale "$file" "$count" --run cluster
    expect_code 0
    expect_out "cut for $count containers"
done
run up "$file" --run cluster --steps 7
expect_code 2
expect_err "not 7"
run up "$file" --run cluster --wait --keep --json --quiet
expect_code 0
grep -o '"chain.*"weights":"[0-9a-f]*"' out >got
cmp -s expected got || failed "other bits than train: $(cat expected) and $(cat got)"
run status "$file" --run cluster --json
expect_code 0
grep -o '"pid":[0-9]*' out | sed 's/.*://' >pids
[ -s pids ] || failed "nothing runs"
run down "$file" --run cluster
expect_code 0
while read -r pid; do
    kill -0 "$pid" 2>/dev/null && failed "process $pid is still there"
done <pids
[ ! -e cluster/cluster ] || failed "the cluster's folder is still there"
run status "$file" --run cluster
expect_code 1
expect_err "there is no cluster of this network"
finish
