#!/bin/sh
# Kills at random change nothing, and chaos says so; when something did change, it says that.
. "$(dirname "$0")/lib.sh"
cp "$SOURCE"/examples/xor/* .
write_rings
file=xor.yaml
trap '"$CUTTLEFISH" down "$file" --run cluster >/dev/null 2>&1; rm -rf "$WORK"' EXIT

# unharmed FILE STEPS KILLS OPTION...: a container for each neuron, under random kills.
unharmed() {
    file=$1
    steps=$2
    kills=$3
    shift 3
    run chaos "$file" --set placement.neurons_per_container=1 --run cluster --steps "$steps" --kills "$kills" \
        --every 0.05s "$@"
    expect_code 0
    expect_out "weights identical: yes"
    expect_out "survivors restarted: 0"
    expect_out "steps lost: 0"
    [ "$(grep -c 'recovered in' err)" -ge $((kills - 1)) ] || failed "fewer than $kills recoveries"
    [ ! -e cluster/cluster ] || failed "the cluster's folder is still there"
    rm -rf cluster
}

unharmed xor.yaml 20000 12 --store --controller --all-at-once
for kind in shard store controller everything; do
    grep -q "kill $kind" err || failed "the schedule has no 'kill $kind'"
done
if [ -n "${CUTTLEFISH_DATA:-}" ]; then
    unharmed "$SOURCE/examples/mnist/nielsen.yaml" 1500 10 --store --controller
fi

# The same report as JSON, of a run without any kill.
file=xor.yaml
run chaos xor.yaml --run cluster --steps 50 --kills 0 --json
expect_code 0
expect "identical" test "$(json out identical)" = True
expect "the chain is of train too" test "$(json out chain)" = "$(json out train_chain)"
expect "five kinds" test "$(json out recovery 4 count)" = 0
rm -rf cluster

# Other weights than those of train: the data file changes once the containers have read it, before train reads it.
file=rings.yaml
"$CUTTLEFISH" chaos rings.yaml --run cluster --steps 3000 --set training.epochs=200 --kills 0 >out 2>err </dev/null &
chaos=$!
while [ ! -e cluster/cluster/plan.json ] ||
    "$CUTTLEFISH" status rings.yaml --run cluster --json | grep -q '"step":\(0\|-1\),"steps"'; do
    kill -0 "$chaos" || break
done
sed 's/inner/middle/; s/outer/inner/; s/middle/outer/' rings.csv >changed.csv
mv changed.csv rings.csv
line="chaos with data that change under it"
wait "$chaos"
code=$?
checks=$((checks + 1))
expect_code 1
expect_out "weights identical: no"
run chaos rings.yaml --every fast
expect_code 2
expect_err "--every 'fast'"
finish
