#!/bin/sh
# What a person sees: on a terminal colours and a redrawn line, with NO_COLOR neither colours nor box drawing codes.
. "$(dirname "$0")/lib.sh"
write_rings
unset NO_COLOR

# terminal ENVIRONMENT... -- ARGUMENT...: runs on a pseudo-terminal of 100 columns; what it shows is in out.
cat >terminal.py <<'PYTHON'
import fcntl, os, pty, struct, sys, termios
cut = sys.argv.index("--")
for setting in sys.argv[1:cut]:
    name, _, value = setting.partition("=")
    os.environ[name] = value
pid, master = pty.fork()
if pid == 0:
    fcntl.ioctl(1, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 100, 0, 0))
    os.execv(sys.argv[cut + 1], sys.argv[cut + 1:])
shown = b""
while True:
    try:
        piece = os.read(master, 65536)
    except OSError:
        break
    if not piece:
        break
    shown += piece
open("out", "wb").write(shown)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
PYTHON

terminal() {
    line="on a terminal: $*"
    python3 terminal.py "$@" 2>err
    code=$?
    checks=$((checks + 1))
}

escape=$(printf '\033')
terminal TERM=xterm-256color LC_ALL=C.UTF-8 -- "$CUTTLEFISH" train rings.yaml --run one
expect_code 0
expect "the line is redrawn" grep -q "${escape}\[K" out
expect "a bar" grep -q '█' out
expect "the epochs stay" grep -q 'epoch 20/20' out
terminal TERM=xterm-256color LC_ALL=C -- "$CUTTLEFISH" train rings.yaml --run two
expect "no UTF-8 outside a UTF-8 locale" sh -c '! LC_ALL=C grep -q "[^ -~[:space:][:cntrl:]]" out'
terminal TERM=dumb -- "$CUTTLEFISH" train rings.yaml --run three
expect "no escapes on a dumb terminal" sh -c "! grep -q '$escape' out"
terminal TERM=xterm NO_COLOR=1 -- "$CUTTLEFISH" evaluate rings.yaml --run one
expect_code 0
expect "NO_COLOR" sh -c "! grep -q '$escape' out"
terminal TERM=xterm-256color LC_ALL=C.UTF-8 -- "$CUTTLEFISH" evaluate rings.yaml --run one
expect "the confusion matrix is shaded" grep -q "${escape}\[48;5;" out
terminal TERM=xterm-256color LC_ALL=C.UTF-8 -- "$CUTTLEFISH" plan rings.yaml
expect "the table is drawn" grep -q '┌' out
sed 's/units: 16/unitss: 16/' rings.yaml >broken.yaml
terminal TERM=xterm -- "$CUTTLEFISH" check broken.yaml
expect_code 2
expect "mistakes are coloured" grep -q "${escape}\[1;31m" out

# pictures: half blocks in grey levels or 24 bits on a terminal, a ramp elsewhere
python3 - <<'PYTHON'
import struct
images = bytes((17 * i * (p % 5 + 1)) % 256 for i in range(20) for p in range(48))
open("images.idx", "wb").write(struct.pack(">IIII", 0x803, 20, 6, 8) + images)
open("labels.idx", "wb").write(struct.pack(">II", 0x801, 20) + bytes(i % 3 for i in range(20)))
PYTHON
cat >images.yaml <<'YAML'
cuttlefish: 1
name: images
data: {idx: {train_images: images.idx, train_labels: labels.idx, test_images: images.idx, test_labels: labels.idx}}
network:
  layers:
    - dense: {units: 3}
  loss: softmax_cross_entropy
training: {epochs: 1, batch: 5}
YAML
run data show images.yaml --count 4
expect_code 0
expect_out "20 training, 0 validation and 20 test samples of 1x6x8, 3 classes"
expect_out "0: 0"
terminal TERM=xterm-256color LC_ALL=C.UTF-8 -- "$CUTTLEFISH" data show images.yaml --count 4
expect "grey levels" grep -q "${escape}\[38;5;2" out
terminal TERM=xterm-256color COLORTERM=truecolor LC_ALL=C.UTF-8 -- "$CUTTLEFISH" data show images.yaml
expect "24-bit colours" grep -q "${escape}\[38;2;" out
run train images.yaml --quiet
expect_code 0
run predict images.yaml images.idx:17 --json
expect_code 0
cp out by-file
run predict images.yaml test:17 --json
expect_code 0
expect "a sample of a file is the sample of the set" test "$(json out probabilities)" = "$(json by-file probabilities)"
run predict images.yaml images.idx:20
expect_code 2
expect_err "images.idx"
finish
