#!/bin/sh
# What a person does with a running cluster: Ctrl-C while waiting, up again, everything killed, watching, logs, down.
. "$(dirname "$0")/lib.sh"
cp "$SOURCE"/examples/xor/* .
trap '"$CUTTLEFISH" down xor.yaml --run cluster >/dev/null 2>&1; rm -rf "$WORK"' EXIT
one="--set placement.neurons_per_container=1 --run cluster"

# terminal.py KEYS-AFTER-TEXT ARGUMENT...: on a pseudo-terminal of 40 lines; Ctrl-C once the text has been shown.
cat >terminal.py <<'PYTHON'
import fcntl, os, pty, struct, sys, termios
text = sys.argv[1].encode()
os.environ["TERM"] = "xterm"
pid, master = pty.fork()
if pid == 0:
    fcntl.ioctl(1, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 100, 0, 0))
    os.execv(sys.argv[2], sys.argv[2:])
shown, is_told = b"", False
while True:
    try:
        piece = os.read(master, 65536)
    except OSError:
        break
    if not piece:
        break
    shown += piece
    if not is_told and shown.count(text) >= 2:
        os.write(master, b"\x03")
        is_told = True
open("out", "wb").write(shown)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
PYTHON

terminal() {
    line="on a terminal, Ctrl-C after '$1': $*"
    python3 terminal.py "$@" 2>err
    code=$?
    checks=$((checks + 1))
}

# now KEY: a number of `status`
now() {
    "$CUTTLEFISH" status xor.yaml $one --json | tail -1 >status.json
    json status.json "$1"
}

pids() {
    "$CUTTLEFISH" status xor.yaml $one --json | grep -o '"pid":[0-9]*'
}

# until KEY NUMBER: until that number of `status` is above this one
until_above() {
    while [ "$(now "$1")" -le "$2" ]; do :; done
}

# Ctrl-C while waiting leaves everything running.
run up xor.yaml $one --steps 200000 --set training.epochs=1000000
expect_code 0
terminal "step" "$CUTTLEFISH" up xor.yaml --set training.epochs=1000000 $one --steps 200000 --wait
expect_code 130
expect_out "stopped waiting; the cluster runs on"
one="$one --set training.epochs=1000000"
expect "it runs" test "$(now running)" = True

# A second up changes nothing.
pids >before
run up xor.yaml $one
expect_code 0
expect_out "containers run"
pids >after
expect "the same processes" cmp -s before after
run up xor.yaml $one --steps 7
expect_code 2
expect_err "ends after 200000 steps, not 7"

# Everything killed, supervisor too: up goes on where HEAD was.
until_above head 0
head=$(now head)
supervisor=$(cut -d' ' -f1 cluster/cluster/supervisor)
sed 's/"pid"://' after | xargs kill -9 "$supervisor"
while kill -0 "$supervisor" 2>/dev/null; do :; done
run status xor.yaml $one
expect_code 0
expect_out "nothing runs; go on with: cuttlefish up"
run up xor.yaml $one
expect_code 0
until_above head "$head"

# A paused container keeps nobody waiting.
paused=$(grep -o '"name":"output[^}]*"pid":[0-9]*' status.json | sed 's/.*://')
kill -STOP "$paused"
begin=$(date +%s)
run status xor.yaml $one
expect_code 0
expect_out "no answer"
expect "status in 3 seconds" test $(($(date +%s) - begin)) -le 3
kill -CONT "$paused"

# Watching and following end with Ctrl-C.
terminal "HEAD" "$CUTTLEFISH" status xor.yaml $one --watch
expect_code 0
expect "the screen is redrawn" grep -q "$(printf '\033')\[H" out
terminal "supervisor" "$CUTTLEFISH" logs -f xor.yaml $one &
follower=$!
for i in 1 2 3; do
    echo "supervisor: line $i" >>cluster/cluster/logs/supervisor.log
    sleep 0.3
done
wait "$follower"
code=$?
expect "logs -f shows what comes and ends" grep -q "supervisor: line 2" out

# down while somebody waits: the waiting ends and says why.
"$CUTTLEFISH" up xor.yaml $one --wait --quiet >waited 2>&1 </dev/null &
waiter=$!
sleep 1
run down xor.yaml $one --keep
expect_code 0
wait "$waiter"
expect "it fails" test $? -ne 0
expect "it says why" grep -q "nothing runs any more (go on with: cuttlefish up)" waited
run down xor.yaml $one
expect_code 0
run down xor.yaml $one
expect_code 0

# What cannot be cut is refused before anything is written.
cat >pool.yaml <<'YAML'
cuttlefish: 1
name: pool
data: {idx: {train_images: images.idx, train_labels: labels.idx, test_images: images.idx, test_labels: labels.idx}}
network:
  layers:
    - avg_pool: {size: 2, name: shrink}
    - flatten
    - dense: {units: 3}
  loss: softmax_cross_entropy
training: {epochs: 1, batch: 5}
YAML
python3 - <<'PYTHON'
import struct
open("images.idx", "wb").write(struct.pack(">IIII", 0x803, 20, 6, 8) + bytes(960))
open("labels.idx", "wb").write(struct.pack(">II", 0x801, 20) + bytes(i % 3 for i in range(20)))
PYTHON
run up pool.yaml --run pool
expect_code 2
expect_err "layer 'shrink' (avg_pool) comes before the first layer with weights"
expect "no folder for it" test ! -e pool
finish
