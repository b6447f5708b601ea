"""JAX as a peer. Modes: jit = one compiled step a call, scan = lax.scan over 100 steps a call."""

from common import LOOP_STEPS, Order, initial_weights, load_data, serve, start

job = start(lambda case: ["scan", "jit"], ["jit"])

import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402
from jax import lax  # noqa: E402

case = job.case


def pool(x):
    """2x2 max-pool of NHWC by reshape, whose gradient is elementwise (reduce_window was not timed beside it)."""
    rows, height, width, channels = x.shape
    x = x[:, :height // 2 * 2, :width // 2 * 2]
    return x.reshape(rows, height // 2, 2, width // 2, 2, channels).max(axis=(2, 4))


def convolve(x, weight, bias, padding):
    y = lax.conv_general_dilated(x, weight, (1, 1), padding, dimension_numbers=("NHWC", "HWIO", "NHWC"))
    return jax.nn.relu(y + bias)


def forward(weights, x):
    if case.lenet:
        x = pool(convolve(x.reshape(-1, 28, 28, 1), *weights[0], "SAME"))
        x = pool(convolve(x, *weights[1], "VALID")).reshape(-1, case.units[0])
        weights = weights[2:]
    for index, (weight, bias) in enumerate(weights):
        x = x @ weight + bias
        if case.activation == "sigmoid":
            x = jax.nn.sigmoid(x)
        elif index + 1 < len(weights):
            x = jax.nn.relu(x)
    return x


def cost(weights, x, y):
    out = forward(weights, x)
    if case.activation == "sigmoid":
        return 0.5 * jnp.mean(jnp.sum((out - jax.nn.one_hot(y, 10)) ** 2, axis=1))
    return -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(out), y[:, None], axis=1))


def step(state, indices, x, y):
    weights, momenta = state
    loss, gradient = jax.value_and_grad(cost)(weights, x[indices], y[indices])
    if case.momentum:
        momenta = jax.tree.map(lambda m, g: case.momentum * m + g, momenta, gradient)
        gradient = momenta
    weights = jax.tree.map(lambda w, g: w - case.rate * g, weights, gradient)
    return (weights, momenta), loss


def loop(state, indices, x, y):
    return lax.scan(lambda carry, i: step(carry, i, x, y), state, indices)


def as_jax(pairs):
    return [(jnp.asarray(w.transpose(2, 3, 1, 0) if w.ndim == 4 else w.T), jnp.asarray(b)) for w, b in pairs]


def train():
    values, labels = load_data(job.data)
    order = Order(len(labels))
    x, y = jnp.asarray(values), jnp.asarray(labels)
    weights = as_jax(initial_weights(case))
    momenta = jax.tree.map(jnp.zeros_like, weights) if case.momentum else []
    now = {"state": (weights, momenta), "loss": jnp.zeros(())}
    steps = LOOP_STEPS if job.mode == "scan" else 1
    compiled = jax.jit(loop if job.mode == "scan" else step, donate_argnums=0)

    def call():
        indices = order.next(steps * case.batch).astype(np.int32)
        if job.mode == "scan":
            indices = indices.reshape(steps, case.batch)
        now["state"], now["loss"] = compiled(now["state"], indices, x, y)

    serve(job, call, steps, lambda: jax.block_until_ready(now["state"]), lambda: np.asarray(now["loss"]).mean(),
          f"jax {jax.__version__}")


def infer():
    values, _ = load_data(job.data, 60 * case.batch)
    weights = as_jax(initial_weights(case))
    inputs = [jnp.asarray(values[i * case.batch:(i + 1) * case.batch]) for i in range(60)]
    compiled = jax.jit(lambda w, x: jax.nn.softmax(forward(w, x)))
    now = {"index": 0}

    def call():
        now["index"] = (now["index"] + 1) % len(inputs)
        compiled(weights, inputs[now["index"]]).block_until_ready()

    serve(job, call, version=f"jax {jax.__version__}")


if case.training:
    train()
else:
    infer()
