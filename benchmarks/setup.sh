#!/bin/sh
# The rivals that compare.py and parity.py run, in a Python environment of their own (CPU only). Neither building nor
# testing Cuttlefish needs this.
#   benchmarks/setup.sh [FOLDER]     default: build/peers
set -eu
folder=${1:-$(dirname "$0")/../build/peers}
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet \
    torch==2.15.0 tensorflow-cpu==2.21.0 jax==0.10.2 jaxlib==0.10.2 \
    onnxruntime==1.32.0 onnx==1.23.2 numpy==2.4.6
"$folder/bin/python" -c 'import torch, tensorflow, jax, onnxruntime, onnx, numpy' 2>/dev/null
echo "$folder is ready: python3 benchmarks/compare.py --python $folder/bin/python"
