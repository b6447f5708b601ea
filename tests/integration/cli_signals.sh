#!/bin/sh
# SIGINT and SIGTERM: the step is finished, a checkpoint is written, the exit code is 128 + signal, and the run goes
# on to the same bits.
. "$(dirname "$0")/lib.sh"
write_rings
sed 's/epochs: 20/epochs: 2000/' rings.yaml >long.yaml

run train long.yaml --json --quiet --run whole --steps 3000
expect_code 0
chain=$(json out chain)

for signal in INT TERM; do
    # A shell starts background processes with SIGINT ignored; python does not.
    python3 - "$CUTTLEFISH" $signal <<'PYTHON'
import os, signal, subprocess, sys, time
process = subprocess.Popen([sys.argv[1], "train", "long.yaml", "--run", "run-" + sys.argv[2]],
                           stdout=open("out", "w"), stderr=open("err", "w"),
                           preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler))
while b"epoch" not in open("err", "rb").read() and process.poll() is None:
    time.sleep(0.01)
process.send_signal(getattr(signal, "SIG" + sys.argv[2]))
open("code", "w").write(str(process.wait()))
PYTHON
    code=$(cat code)
    line="cuttlefish train long.yaml, then SIG$signal"
    checks=$((checks + 1))
    if [ $signal = INT ]; then expect_code 130; else expect_code 143; fi
    expect_err "go on with: cuttlefish train long.yaml --resume --run run-$signal"
    run train long.yaml --json --quiet --run run-$signal --resume --steps 3000
    expect_code 0
    if [ "$(json out steps)" = 3000 ]; then
        expect "chain after SIG$signal and --resume" test "$(json out chain)" = "$chain"
    fi
done

# A second signal ends it at once, by the signal itself.
python3 - "$CUTTLEFISH" <<'PYTHON'
import signal, subprocess, sys, time
process = subprocess.Popen([sys.argv[1], "train", "long.yaml", "--run", "twice"], stdout=open("out", "w"),
                           stderr=open("err", "w"))
while b"epoch" not in open("err", "rb").read() and process.poll() is None:
    time.sleep(0.01)
process.send_signal(signal.SIGSTOP)      # both are pending before it looks
process.send_signal(signal.SIGTERM)
process.send_signal(signal.SIGINT)
process.send_signal(signal.SIGCONT)
code = process.wait()
open("code", "w").write(str(code))
PYTHON
code=$(cat code)
line="two signals"
expect "ended by a signal or gracefully, never otherwise" sh -c 'grep -qE "^(-15|-2|143|130)$" code'
finish
