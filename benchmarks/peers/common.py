"""What every peer shares: the cases, the data, the threads, and the worker's protocol.

A worker prepares everything, prints one line {"ready": true, ...}, then answers each line `go SECONDS` on its standard
input with one line {"steps": N, "seconds": S}. It ends when its input does. Everything that a library prints goes to
the standard error, so that the answers stay clean.

`start()` must run before the framework is imported: thread counts are read at import.
"""

import argparse
import gzip
import json
import os
import struct
import sys
import time
from dataclasses import dataclass

# Steps that one call runs in the modes which loop inside the compiled program.
LOOP_STEPS = 100


@dataclass(frozen=True)
class Case:
    """One network with its way of training. units: inputs, hidden layers, outputs of the dense part."""
    title: str
    units: tuple
    batch: int
    rate: float
    momentum: float = 0.0
    activation: str = "relu"      # relu with softmax cross-entropy, or sigmoid everywhere with the quadratic cost
    lenet: bool = False
    training: bool = True

    @property
    def training_flops(self):
        """For one sample, multiply and add counted apart; the first layer needs no gradient of its input."""
        products = [self.units[i] * self.units[i + 1] for i in range(len(self.units) - 1)]
        return None if self.lenet else 2 * (3 * sum(products) - products[0])


WIDE = (784, 512, 512, 10)
CASES = {
    "a": Case("784-512-512-10 relu, batch 128, momentum", WIDE, 128, 0.02, 0.9),
    "b": Case("784-30-10 sigmoid, quadratic, batch 10", (784, 30, 10), 10, 3.0, activation="sigmoid"),
    "c": Case("784-30-10 sigmoid, quadratic, batch 128", (784, 30, 10), 128, 3.0, activation="sigmoid"),
    "d": Case("784-1024-1024-1024-10 relu, batch 256, momentum", (784, 1024, 1024, 1024, 10), 256, 0.02, 0.9),
    "e": Case("LeNet-5, batch 64, momentum", (400, 120, 84, 10), 64, 0.02, 0.9, lenet=True),
    "f1": Case("inference of 784-512-512-10, batch 1", WIDE, 1, 0.0, training=False),
    "f256": Case("inference of 784-512-512-10, batch 256", WIDE, 256, 0.0, training=False),
}


@dataclass
class Job:
    case: Case
    threads: int
    mode: str
    data: str
    answers: object   # file for the answers


def start(modes, inference_modes):
    """Reads the arguments and fixes the threads. `modes` are for training, `inference_modes` for f1 and f256."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--case", required=True, choices=CASES)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--mode")
    parser.add_argument("--data", default="", help="folder with MNIST's IDX files; otherwise random bytes")
    parser.add_argument("--list-modes", action="store_true", help="print the modes of this case and end")
    arguments = parser.parse_args()
    case = CASES[arguments.case]
    known = modes(case) if case.training else inference_modes
    if arguments.list_modes:
        print(json.dumps(known))
        sys.exit(0)
    mode = arguments.mode or known[0]
    if mode not in known:
        parser.error(f"case {arguments.case} has the modes {', '.join(known)}")
    fix_threads(arguments.threads)
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    return Job(case, arguments.threads, mode, arguments.data, answers)


def fix_threads(threads):
    for name in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"):
        os.environ.pop(name, None)
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NPROC"):
        os.environ[name] = str(threads)
    # The libraries size their pools by the cores they may use, so this holds where an option is not read.
    allowed = sorted(os.sched_getaffinity(0))
    if threads <= len(allowed):
        os.sched_setaffinity(0, allowed[-threads:])
    flags = "" if threads > 1 else "--xla_cpu_multi_thread_eigen=false"
    os.environ["XLA_FLAGS"] = flags
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"
    os.environ["CUDA_VISIBLE_DEVICES"] = ""


def read_idx(folder, stem):
    """The array of an IDX file, gzipped or not, from `folder` or its subfolder mnist; None when it is not there."""
    import numpy as np
    for place in (folder, os.path.join(folder, "mnist")):
        for name in (stem, stem.replace("-idx", ".idx")):
            for ending, opener in (("", open), (".gz", gzip.open)):
                path = os.path.join(place, name + ending)
                if os.path.exists(path):
                    with opener(path, "rb") as file:
                        rank = struct.unpack(">I", file.read(4))[0] & 255
                        dims = struct.unpack(f">{rank}I", file.read(4 * rank))
                        return np.frombuffer(file.read(), np.uint8).reshape(dims)
    return None


def load_data(folder, count=60000):
    """(count, 784) float32 in [0, 1] and (count) int32 labels: as users hold them."""
    import numpy as np
    images = read_idx(folder, "train-images-idx3-ubyte") if folder else None
    if images is not None:
        labels = read_idx(folder, "train-labels-idx1-ubyte")
        return images.reshape(len(images), -1).astype(np.float32) / 255, labels.astype(np.int32)
    # A fifth of MNIST's pixels is not black; with all of them lit the first steps would diverge.
    random = np.random.default_rng(1)
    lit = random.random((count, 784), dtype=np.float32) < 0.19
    values = random.integers(0, 256, (count, 784), dtype=np.uint8) * lit
    return values.astype(np.float32) / 255, random.integers(0, 10, count, dtype=np.int32)


def initial_weights(case):
    """[(weight (out, in[, kh, kw]), bias (out))] as numpy float32: he for relu, Nielsen's for sigmoid."""
    import numpy as np
    random = np.random.default_rng(7)
    shapes = [(6, 1, 5, 5), (16, 6, 5, 5)] if case.lenet else []
    shapes += [(case.units[i + 1], case.units[i]) for i in range(len(case.units) - 1)]
    pairs = []
    for shape in shapes:
        gain = 2.0 if case.activation == "relu" else 1.0
        weight = random.standard_normal(shape) * np.sqrt(gain / np.prod(shape[1:]))
        bias = np.zeros(shape[0]) if case.activation == "relu" else random.standard_normal(shape[0])
        pairs.append((weight.astype(np.float32), bias.astype(np.float32)))
    return pairs


class Order:
    """Sample indices, shuffled anew each epoch."""

    def __init__(self, count):
        import numpy as np
        self.random = np.random.default_rng(3)
        self.count = count
        self.shuffle()

    def shuffle(self):
        self.indices = self.random.permutation(self.count)
        self.position = 0

    def next(self, count):
        if self.position + count > self.count:
            self.shuffle()
        self.position += count
        return self.indices[self.position - count:self.position]


def run_for(seconds, call, wait):
    """Whole calls for about `seconds`: (calls, seconds). Frameworks that queue work are waited for about every 20 ms,
    so that they may overlap calls and the clock still tells the truth."""
    begin = time.perf_counter()
    call()
    wait()
    elapsed, calls = time.perf_counter() - begin, 1
    while elapsed < seconds:
        group = max(1, int(0.02 * calls / elapsed))
        for _ in range(group):
            call()
        wait()
        calls += group
        elapsed = time.perf_counter() - begin
    return calls, elapsed


def serve(job, call, steps_per_call=1, wait=lambda: None, loss=None, version=""):
    """The protocol. `call` runs `steps_per_call` steps, `wait` waits for those that still run, `loss` tells the last
    one's loss."""
    run_for(0.5, call, wait)
    job.answers.write(json.dumps({"ready": True, "mode": job.mode, "version": version}) + "\n")
    for line in sys.stdin:
        words = line.split()
        if len(words) != 2 or words[0] != "go":
            continue
        seconds = float(words[1])
        run_for(min(0.1, seconds / 4), call, wait)  # caches and clock speed, after the others had their turn
        calls, elapsed = run_for(seconds, call, wait)
        answer = {"steps": calls * steps_per_call, "seconds": elapsed}
        if loss is not None:
            answer["loss"] = float(loss())
        job.answers.write(json.dumps(answer) + "\n")
