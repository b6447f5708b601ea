#!/bin/sh
# However a network is cut and whatever carries and keeps it: the result of `train`, to the bit, in every field.
# Prints a table. Some rows by default; CF_MATRIX=full in the environment runs all.
. "$(dirname "$0")/lib.sh"
trap '"$CUTTLEFISH" down "$file" --run cluster >/dev/null 2>&1; rm -rf "$WORK"' EXIT
write_rings
MNIST=$SOURCE/examples/mnist
FAULTS=drop=0.05,duplicate=0.05,reorder=0.05,delay=0.02,corrupt=0.001,seed=7
HANGS=300                 # seconds, after which a row has failed; none takes a tenth of that
PORT=$((15000 + $$ % 150 * 100)) # below those that outgoing connections get
full=${CF_MATRIX:-quick}
scales="" faults=""       # of the next row
unset CUTTLEFISH_FAULTS CUTTLEFISH_RECORD

# Images of 12 by 12 in the format of MNIST, and a small convolutional network for them.
write_pictures() {
    python3 - <<'PYTHON'
import random
random.seed(5)
def write(name, count):
    labels = bytes(random.randrange(4) for _ in range(count))
    pixels = bytes(min(255, random.randrange(90) + 120 * (((x // 6) + 2 * (y // 6)) == label))
                   for label in labels for y in range(12) for x in range(12))
    sizes = b"".join(n.to_bytes(4, "big") for n in (count, 12, 12))
    open(name + "-images", "wb").write(b"\0\0\10\3" + sizes + pixels)
    open(name + "-labels", "wb").write(b"\0\0\10\1" + count.to_bytes(4, "big") + labels)
write("train", 320)
write("test", 80)
PYTHON
    cat >pictures.yaml <<'YAML'
name: pictures
seed: 2
data:
  idx: {train_images: train-images, train_labels: train-labels, test_images: test-images, test_labels: test-labels}
network:
  layers:
    - conv2d: {name: conv1, filters: 4, kernel: 3, padding: same, activation: relu}
    - max_pool: {size: 2}
    - conv2d: {name: conv2, filters: 6, kernel: 3, padding: valid, activation: relu}
    - avg_pool: {size: 2}
    - flatten
    - dense: {name: dense1, units: 20, activation: relu}
    - dense: {name: output, units: 4}
  loss: softmax_cross_entropy
training:
  epochs: 3
  batch: 16
  optimizer: {adam: {rate: 0.002}}
YAML
}

figures() { # all of the result that is not about time
    grep -o '"steps":.*"weights":"[0-9a-f]*"' out
}

set_words() { # set_words KEY=VALUE...: as options, in $words
    words=""
    for word in "$@"; do
        words="$words --set $word"
    done
}

# row FILE STEPS NETWORK CUT REST: NETWORK and REST are lists of KEY=VALUE; NETWORK's decide the weights. STEPS 'all':
# to the end of training. CUT: neurons per container, or LAYER:NUMBER for some layers, joined by commas.
row() {
    file=$1 cut=$4 limit="--steps $2"
    [ "$2" != all ] || limit=""
    set_words $3
    network=$words
    known=expected-$(printf '%s' "$1 $2 $3" | cksum | cut -d' ' -f1)
    if [ ! -s "$known" ]; then
        run train "$file" $network $limit --run single --json --quiet
        expect_code 0
        figures >"$known"
        rm -rf single
    fi
    key=placement.neurons_per_container
    case $cut in
    *:*) cuts=$key.$(printf '%s' "$cut" | sed "s/:/=/g; s/,/ $key./g") ;;
    *) cuts=$key=$cut ;;
    esac
    set_words $cuts ${5:-}
    options="$network $words --run cluster $limit"
    [ -z "$faults" ] || export CUTTLEFISH_FAULTS="$faults"
    begin=$(date +%s%N) count=0
    if [ -n "$scales" ]; then
        run up "$file" $options
        expect_code 0
        for count in $scales; do
            run scale "$file" "$count" $network $words --run cluster
            expect_code 0
        done
    fi
    line="cuttlefish up $file $options --wait"
    timeout $HANGS "$CUTTLEFISH" up "$file" $options --wait --keep --json --quiet >out 2>err </dev/null
    code=$? checks=$((checks + 1))
    expect_code 0
    figures >got
    same=same
    cmp -s "$known" got || { same=DIFFERENT; failed "other figures than train: $(cat "$known") and $(cat got)"; }
    ms=$((($(date +%s%N) - begin) / 1000000))
    containers=$("$CUTTLEFISH" status "$file" --run cluster --json 2>err | grep -o '"pid":' | wc -l)
    if [ "$same" != same ]; then
        tail -n 3 cluster/cluster/logs/*.log
        "$CUTTLEFISH" status "$file" --run cluster
    fi
    printf '%-11s %-5s %-66s %-19s %-44s %4s %7s ms  %s\n' "$(basename "$file" .yaml)" "$2" "${3:--}" "$cut" \
        "${5:--}${faults:+ faults}${scales:+ scale $scales}" "$containers" "$ms" "$same"
    run down "$file" --run cluster
    expect_code 0
    rm -rf cluster
    unset CUTTLEFISH_FAULTS
    scales="" faults=""
}

tcp() { # a row over tcp: ports of its own
    PORT=$((PORT + 100))
    extra="messaging.zeromq.scheme=tcp messaging.zeromq.port=$PORT"
}

small_rows() { # without MNIST
    MICRO="training.batch=32 training.sample_grain=8"
    row rings.yaml 60 "" 1
    row rings.yaml all "training.epochs=60 training.early_stopping.patience=2" 4
    row pictures.yaml 60 "" 1
    row pictures.yaml all "" 2 "store=memory"
    faults=$FAULTS
    row pictures.yaml 8 "" 3
    row pictures.yaml 30 "$MICRO" 2 "training.micro_batches=4"
    tcp
    row pictures.yaml 30 "$MICRO training.clip_norm=0.5" 2 "training.micro_batches=2 $extra"
    tcp
    scales="2 9 4"
    row rings.yaml 500 "training.epochs=40" 4 "$extra"
}

quick_rows() {
    row "$MNIST/nielsen.yaml" 100 "" 1
    row "$MNIST/nielsen.yaml" 100 "" 16 "store=memory"
    row "$MNIST/lenet.yaml" 20 "" conv1:2,conv2:5
    row "$MNIST/mlp-512.yaml" 20 "" 256
    faults=$FAULTS
    row "$MNIST/nielsen.yaml" 50 "" 5
}

cut_rows() {
    for cut in 1 5 16 all; do
        row "$MNIST/nielsen.yaml" 300 "" $cut
        row "$MNIST/nielsen.yaml" 300 "" $cut "store=memory"
        tcp
        row "$MNIST/nielsen.yaml" 300 "" $cut "$extra"
    done
    for cut in 64 128 256 all; do
        row "$MNIST/mlp-512.yaml" 100 "" $cut
    done
    tcp
    row "$MNIST/mlp-512.yaml" 100 "" 128 "$extra store=memory"
    for cut in conv1:1,conv2:1,output:1 conv1:2,conv2:2 conv1:5,conv2:5 conv1:4,dense1:32 \
        dense1:32,dense2:32 all; do
        row "$MNIST/lenet.yaml" 60 "" $cut
    done
    tcp
    row "$MNIST/lenet.yaml" 60 "" conv1:3,conv2:5 "$extra store=memory"
}

micro_rows() {
    SIZE="training.batch=128 training.sample_grain=32"
    for micro in 1 2 4; do
        row "$MNIST/nielsen.yaml" 100 "$SIZE" 5 "training.micro_batches=$micro"
        row "$MNIST/mlp-512.yaml" 50 "$SIZE" 128 "training.micro_batches=$micro"
        row "$MNIST/lenet.yaml" 50 "$SIZE" conv1:2,conv2:5 "training.micro_batches=$micro"
        faults=$FAULTS
        row "$MNIST/lenet.yaml" 20 "$SIZE" conv1:2,conv2:5 "training.micro_batches=$micro"
    done
}

state_rows() { # optimizers with state, clipping, early stopping
    for words in optimizer.adam.rate=0.003 optimizer.adamw.rate=0.003 optimizer.rmsprop.rate=0.002 \
        "optimizer.sgd.rate=0.5 training.optimizer.sgd.momentum=0.9" \
        "optimizer.sgd.rate=0.5 training.optimizer.sgd.momentum=0.9 training.optimizer.sgd.nesterov=true"; do
        row "$MNIST/nielsen.yaml" 200 "training.$words" 5
    done
    row "$MNIST/nielsen.yaml" 200 "training.clip_norm=0.1" 5
    row "$MNIST/mlp-512.yaml" 50 "training.clip_norm=0.5" 128
    row "$MNIST/lenet.yaml" 50 "training.clip_norm=0.5" conv1:2,conv2:5 "store=memory"
    STOP="training.epochs=9 training.early_stopping.patience=1 training.optimizer.sgd.rate=80"
    row "$MNIST/nielsen.yaml" all "data.validation=5000 training.batch=1000 $STOP" 5
    faults=$FAULTS
    row "$MNIST/nielsen.yaml" 50 "training.clip_norm=0.1 training.optimizer.adam.rate=0.003" 5
}

trouble_rows() {
    for cut in 1 5 16 all; do
        faults=$FAULTS
        row "$MNIST/nielsen.yaml" 50 "" $cut
    done
    faults=drop=0.05
    row "$MNIST/nielsen.yaml" 50 "" 5
    faults=duplicate=0.05
    row "$MNIST/nielsen.yaml" 300 "" 5
    faults=reorder=0.5,delay=0.1
    row "$MNIST/nielsen.yaml" 100 "" 5
    faults=$FAULTS
    row "$MNIST/mlp-512.yaml" 30 "" 128
    tcp
    faults=$FAULTS
    row "$MNIST/lenet.yaml" 30 "" conv1:2,conv2:5 "$extra"
}

scale_rows() {
    scales="5 42 10 3 7"
    row "$MNIST/nielsen.yaml" 3000 "" all
    tcp
    scales="5 42 10 3 7"
    row "$MNIST/nielsen.yaml" 3000 "" 16 "$extra"
    scales="4 9 14 3 8"
    row "$MNIST/lenet.yaml" 300 "" all "store=memory"
    scales="4 9 14 3 8"
    row "$MNIST/mlp-512.yaml" 300 "training.clip_norm=1" 256
    faults=drop=0.01,duplicate=0.05,reorder=0.05 scales="4 9 12 3 8"
    row "$MNIST/nielsen.yaml" 400 "" 16
}

write_pictures
printf '%-11s %-5s %-66s %-19s %-44s %4s %7s\n' network steps "settings that decide the weights" "cut every" \
    "settings that do not" n time
small_rows
if [ -n "${CUTTLEFISH_DATA:-}" ] && [ "$full" = full ]; then
    cut_rows
    micro_rows
    state_rows
    trouble_rows
    scale_rows
elif [ -n "${CUTTLEFISH_DATA:-}" ]; then
    quick_rows
fi
finish
