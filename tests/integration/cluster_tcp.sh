#!/bin/sh
# A cluster over tcp: keys that nobody else can read, and none printed; containers that stay keep their port when the
# network is cut anew, others get new ones; a port that somebody holds is named.
. "$(dirname "$0")/lib.sh"
cp "$SOURCE"/examples/xor/* .
holder=""
trap '[ -z "$holder" ] || kill "$holder"
"$CUTTLEFISH" down xor.yaml --run cluster >/dev/null 2>&1
rm -rf "$WORK"' EXIT
PORT=$((15000 + $$ % 150 * 100 + 50))
tcp="--set messaging.zeromq.scheme=tcp --set messaging.zeromq.port=$PORT"

ports() { # NAME PORT of each container of the plan
    python3 -c 'import json
for container in json.load(open("cluster/cluster/plan.json"))["containers"]:
    print(container["name"], container["endpoint"].rsplit(":", 1)[1])' | sort
}

run train xor.yaml --run single --steps 400 --json --quiet
expect_code 0
grep -o '"chain.*"weights":"[0-9a-f]*"' out >expected

run up xor.yaml $tcp --set placement.neurons_per_container=4 --run cluster --steps 400
expect_code 0
[ "$(stat -c %a cluster/cluster/keys)" = 600 ] || failed "others can read the keys"
[ "$(wc -l <cluster/cluster/keys)" = 2 ] || failed "no two keys"
ports >before
grep -q " $PORT\$" before || failed "nobody has the first port: $(cat before)"
run scale xor.yaml 5 $tcp --run cluster
expect_code 0
ports >after
join before after | cut -d' ' -f1,3 >stayed
[ -s stayed ] || failed "nobody stayed"
while read -r name port; do
    grep -qxF "$name $port" before || failed "$name has another port than $(grep "^$name " before)"
done <stayed
[ -z "$(cut -d' ' -f2 after | sort | uniq -d)" ] || failed "two containers have one port: $(cat after)"
for port in $(join -v 2 before after | cut -d' ' -f2); do
    grep -q " $port\$" before && failed "port $port of the plan before is given again"
done
run up xor.yaml $tcp --run cluster --wait --keep --json --quiet
expect_code 0
grep -o '"chain.*"weights":"[0-9a-f]*"' out >got
cmp -s expected got || failed "other bits than train: $(cat expected) and $(cat got)"
while read -r key; do
    grep -rqF -e "$key" out err cluster/cluster/logs cluster/cluster/plan.json cluster/cluster/network.yaml &&
        failed "a key is printed"
done <cluster/cluster/keys

# Without its keys no node starts.
mv cluster/cluster/keys kept
pid=$("$CUTTLEFISH" status xor.yaml --run cluster --json | grep -o '"pid":[0-9]*' | sed -n '3s/.*://p')
kill -9 "$pid"
until grep -rq "the run's keys are missing" cluster/cluster/logs; do
    sleep 0.05
done
run down xor.yaml --run cluster
expect_code 0

python3 -c 'import socket, sys, time
holder = socket.socket()
holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
holder.bind(("127.0.0.1", int(sys.argv[1])))
holder.listen()
print("held", flush=True)
time.sleep(600)' $((PORT + 2)) >held &
holder=$!
until [ -s held ]; do
    sleep 0.05
done
run up xor.yaml $tcp --set placement.neurons_per_container=4 --run other
expect_code 1
expect_err "port $((PORT + 2)) of 127.0.0.1, for container"
[ ! -e other/cluster/plan.json ] || failed "it began nevertheless"
finish
