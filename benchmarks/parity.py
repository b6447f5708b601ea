#!/usr/bin/env python3
"""Parity with PyTorch: the same initial weights and the same batches give the same losses.

    build/peers/bin/python benchmarks/parity.py build/release/cuttlefish examples/mnist/mlp.yaml

Takes the initial weights from `train --steps 0`, the batches from `data batches` and the rate of each step, trains
both sides in float32 for 100 steps and compares the loss of every step. Exit code 1 when the largest relative
difference is above 1e-5. The program `losses` (benchmarks/benchmarks.cmake) is looked for beside the command, in
benchmarks/.
"""

import argparse
import json
import os
import struct
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "peers"))
from common import read_idx  # noqa: E402

import numpy as np  # noqa: E402
import torch  # noqa: E402
from torch import nn  # noqa: E402
from torch.nn import functional  # noqa: E402


def read_safetensors(path):
    """{name: float32 array}: 8 bytes of header length, the header in JSON, then the values."""
    with open(path, "rb") as file:
        header = json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))
        values = file.read()
    tensors = {}
    for name, entry in header.items():
        if name != "__metadata__":
            begin, end = entry["data_offsets"]
            tensors[name] = np.frombuffer(values[begin:end], "<f4").reshape(entry["shape"])
    return tensors


def run(command, environment):
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, env=environment)
    if done.returncode != 0:
        sys.exit(f"parity.py: failed with {done.returncode}: {' '.join(command)}")
    return done.stdout


def json_lines(text):
    return [json.loads(line) for line in text.splitlines() if line.startswith("{")]


def activation(layer):
    return {"identity": nn.Identity, "relu": nn.ReLU, "sigmoid": nn.Sigmoid, "tanh": nn.Tanh,
            "leaky_relu": lambda: nn.LeakyReLU(layer["leaky_slope"])}[layer["activation"]]()


def modules(layer):
    kind = layer["kind"]
    if kind == "dense":
        return [nn.Flatten(), nn.Linear(layer["inputs"], layer["neurons"]), activation(layer)]
    if kind == "conv2d":
        convolution = nn.Conv2d(layer["input_channels"], layer["neurons"], layer["kernel"], layer["stride"])
        return [nn.ZeroPad2d(layer["pad"]), convolution, activation(layer)]
    if kind == "max_pool":
        return [nn.MaxPool2d(layer["kernel"], layer["stride"])]
    if kind == "avg_pool":
        return [nn.AvgPool2d(layer["kernel"], layer["stride"])]
    if kind == "flatten":
        return [nn.Flatten()]
    sys.exit(f"parity.py: a {kind} layer draws its own random numbers in PyTorch and cannot be compared")


def make_model(network, weights):
    model = nn.Sequential(*(module for layer in network["layers"] for module in modules(layer)))
    names = [layer["name"] for layer in network["layers"] if layer["kind"] in ("dense", "conv2d")]
    linear = [module for module in model if isinstance(module, (nn.Linear, nn.Conv2d))]
    with torch.no_grad():
        for name, module in zip(names, linear, strict=True):
            module.weight.copy_(torch.from_numpy(weights[f"{name}.weight"].copy()))
            module.bias.copy_(torch.from_numpy(weights[f"{name}.bias"].copy()))
    return model


def make_optimizer(settings, parameters):
    decay = {"weight_decay": settings["weight_decay"]}
    kind = settings["kind"]
    if kind == "sgd":
        return torch.optim.SGD(parameters, 1.0, settings["momentum"], nesterov=settings["nesterov"], **decay)
    if kind == "rmsprop":
        return torch.optim.RMSprop(parameters, 1.0, settings["decay"], settings["epsilon"],
                                   momentum=settings["momentum"], **decay)
    make = torch.optim.Adam if kind == "adam" else torch.optim.AdamW
    return make(parameters, 1.0, tuple(settings["betas"]), settings["epsilon"], **decay)


def cost(network, out, labels):
    if network["loss"] == "softmax_cross_entropy":
        return functional.cross_entropy(out, labels)
    target = labels[:, None] if out.shape[1] == 1 else functional.one_hot(labels, out.shape[1])
    if network["loss"] == "mse":
        return 0.5 * ((out - target) ** 2).sum(1).mean()
    return functional.binary_cross_entropy_with_logits(out, target.float(), reduction="none").sum(1).mean()


def train(network, weights, batches, rates, images, labels):
    """The loss of each step, before its update."""
    model = make_model(network, weights)
    optimizer = make_optimizer(network["optimizer"], model.parameters())
    losses = []
    for batch, rate in zip(batches, rates, strict=True):
        x = images[batch["indices"]].astype(np.float32) * np.float32(network["scale"]) + np.float32(network["shift"])
        loss = cost(network, model(torch.from_numpy(x).reshape(-1, *network["shape"])),
                    torch.from_numpy(labels[batch["indices"]].astype(np.int64)))
        optimizer.param_groups[0]["lr"] = rate
        optimizer.zero_grad()
        loss.backward()
        if network["clip_norm"] > 0:
            nn.utils.clip_grad_norm_(model.parameters(), network["clip_norm"])
        optimizer.step()
        losses.append(loss.item())
    return losses


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", help="the cuttlefish command")
    parser.add_argument("file", help="a network file that trains on mnist")
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--limit", type=float, default=1e-5, help="largest relative difference (default: 1e-5)")
    parser.add_argument("--data", default=os.environ.get("CUTTLEFISH_DATA", "data/mnist"), help="MNIST's IDX files")
    parser.add_argument("--losses", help="the program `losses` (default: beside the command, in benchmarks/)")
    arguments = parser.parse_args()
    arguments.command = os.path.abspath(arguments.command)
    arguments.losses = arguments.losses or os.path.join(os.path.dirname(arguments.command), "benchmarks", "losses")
    return arguments


def main():
    arguments = parse_arguments()
    environment = {**os.environ, "CUTTLEFISH_DATA": os.path.abspath(arguments.data)}
    images = read_idx(arguments.data, "train-images-idx3-ubyte")
    if images is None:
        sys.exit(f"parity.py: no MNIST files in {arguments.data} (cuttlefish data get mnist)")
    labels = read_idx(arguments.data, "train-labels-idx1-ubyte")
    steps = str(arguments.steps)
    network, *ours = json_lines(run([arguments.losses, arguments.file, steps], environment))
    if not network["images"]:
        sys.exit("parity.py: only networks that train on mnist can be compared")
    batches = json_lines(run([arguments.command, "data", "batches", arguments.file, "--steps", steps, "--json"],
                             environment))
    with tempfile.TemporaryDirectory() as folder:
        start = os.path.join(folder, "run")
        run([arguments.command, "train", arguments.file, "--steps", "0", "--run", start, "--quiet"], environment)
        weights = read_safetensors(os.path.join(start, "checkpoints", "step-0000000000", "weights.safetensors"))
    theirs = train(network, weights, batches, [line["rate"] for line in ours], images, labels)
    differences = [abs(line["loss"] - loss) / abs(loss) for line, loss in zip(ours, theirs, strict=True)]
    worst = int(np.argmax(differences))
    verdict = "same" if differences[worst] <= arguments.limit else "DIFFERENT"
    print(f"{arguments.file}: {len(ours)} steps, loss {ours[0]['loss']:.6f} -> {ours[-1]['loss']:.6f}; largest "
          f"relative difference to PyTorch {torch.__version__}: {differences[worst]:.2e} at step {worst} (limit "
          f"{arguments.limit:g}): {verdict}")
    sys.exit(0 if differences[worst] <= arguments.limit else 1)


if __name__ == "__main__":
    main()
