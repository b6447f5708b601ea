"""TensorFlow as a peer. Modes: function = tf.function, xla = the same with jit_compile, loop and xla_loop = a
tf.while over 100 steps inside the function."""

from common import LOOP_STEPS, Order, initial_weights, load_data, serve, start

job = start(lambda case: ["xla_loop", "xla", "loop", "function"], ["xla", "function"])

import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402

tf.config.threading.set_intra_op_parallelism_threads(job.threads)
tf.config.threading.set_inter_op_parallelism_threads(1)
case = job.case
xla = job.mode.startswith("xla")
weights = [(tf.Variable(w.transpose(2, 3, 1, 0) if w.ndim == 4 else w.T.copy()), tf.Variable(b))
           for w, b in initial_weights(case)]
flat = [variable for pair in weights for variable in pair]
momenta = [tf.Variable(tf.zeros_like(variable)) for variable in flat]


def convolve(x, weight, bias, padding):
    return tf.nn.relu(tf.nn.bias_add(tf.nn.conv2d(x, weight, 1, padding), bias))


def forward(x):
    dense = weights
    if case.lenet:
        x = tf.nn.max_pool2d(convolve(tf.reshape(x, (-1, 28, 28, 1)), *weights[0], "SAME"), 2, 2, "VALID")
        x = tf.nn.max_pool2d(convolve(x, *weights[1], "VALID"), 2, 2, "VALID")
        x = tf.reshape(x, (-1, case.units[0]))
        dense = weights[2:]
    for index, (weight, bias) in enumerate(dense):
        x = tf.nn.bias_add(tf.matmul(x, weight), bias)
        if case.activation == "sigmoid":
            x = tf.sigmoid(x)
        elif index + 1 < len(dense):
            x = tf.nn.relu(x)
    return x


def step(indices, x, y):
    rows, labels = tf.gather(x, indices), tf.gather(y, indices)
    with tf.GradientTape() as tape:
        out = forward(rows)
        if case.activation == "sigmoid":
            loss = 0.5 * tf.reduce_mean(tf.reduce_sum((out - tf.one_hot(labels, 10)) ** 2, axis=1))
        else:
            loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, out))
    for variable, momentum, gradient in zip(flat, momenta, tape.gradient(loss, flat)):
        if case.momentum:
            tf.raw_ops.ResourceApplyMomentum(var=variable.handle, accum=momentum.handle, lr=case.rate,
                                             grad=gradient, momentum=case.momentum)
        else:
            variable.assign_sub(case.rate * gradient)
    return loss


def train():
    values, labels = load_data(job.data)
    order = Order(len(labels))
    x, y = tf.constant(values), tf.constant(labels)
    looped = job.mode.endswith("loop")
    steps = LOOP_STEPS if looped else 1
    shape = (steps, case.batch) if looped else (case.batch,)

    signature = [tf.TensorSpec(shape, tf.int32), tf.TensorSpec(x.shape, tf.float32),
                 tf.TensorSpec(y.shape, tf.int32)]

    @tf.function(jit_compile=xla, input_signature=signature)
    def compiled(indices, x, y):
        if not looped:
            return step(indices, x, y)
        loss = tf.constant(0.0)
        for i in tf.range(steps):
            loss = step(indices[i], x, y)
        return loss

    now = {"loss": tf.constant(0.0)}

    def call():
        indices = order.next(steps * case.batch).astype(np.int32).reshape(shape)
        now["loss"] = compiled(tf.constant(indices), x, y)

    serve(job, call, steps, lambda: now["loss"].numpy(), lambda: now["loss"].numpy(), f"tensorflow {tf.__version__}")


def infer():
    values, _ = load_data(job.data, 60 * case.batch)
    inputs = [tf.constant(values[i * case.batch:(i + 1) * case.batch]) for i in range(60)]
    fixed = [(tf.constant(w), tf.constant(b)) for w, b in weights]
    weights[:] = fixed
    traced = tf.function(lambda x: tf.nn.softmax(forward(x)), jit_compile=xla)
    compiled = traced.get_concrete_function(tf.TensorSpec((case.batch, case.units[0]), tf.float32))
    now = {"index": 0}

    def call():
        now["index"] = (now["index"] + 1) % len(inputs)
        compiled(inputs[now["index"]])

    serve(job, call, version=f"tensorflow {tf.__version__}")


if case.training:
    train()
else:
    infer()
