#!/bin/sh
# Installs what is missing, builds, fetches MNIST and trains examples/mnist/mlp.yaml.
# Arguments go to `cuttlefish train`, as in: scripts/train.sh --threads 1
set -eu
cd "$(dirname "$0")/.."

scripts/setup.sh
cmake --preset release
cmake --build --preset release --target cuttlefish_command cuttlefish cuttlefish_static
build/release/cuttlefish data get mnist
exec build/release/cuttlefish train examples/mnist/mlp.yaml "$@"
