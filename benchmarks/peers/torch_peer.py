"""PyTorch as a peer. Modes for training:
  eager          nn.Module, autograd, the fused SGD
  channels_last  the same in NHWC (LeNet)
  compile_model  the model compiled, autograd and the fused SGD around it
  compile        gather, forward, backward and update as one compiled graph
  manual         the backward pass by hand into buffers that are made once (dense networks)
and for inference: eager, jit (traced, frozen), compile (frozen)."""

from common import Order, initial_weights, load_data, serve, start


def training_modes(case):
    return ["eager", "compile", "compile_model", "channels_last" if case.lenet else "manual"]


job = start(training_modes, ["compile", "jit", "eager"])

import torch  # noqa: E402
from torch import nn  # noqa: E402
from torch.nn import functional  # noqa: E402

torch.set_num_threads(job.threads)
torch.set_num_interop_threads(1)
case = job.case
version = f"torch {torch.__version__}"


def make_model():
    layers = []
    if case.lenet:
        layers += [nn.Unflatten(1, (1, 28, 28)), nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2),
                   nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten()]
    for index in range(len(case.units) - 1):
        layers.append(nn.Linear(case.units[index], case.units[index + 1]))
        if case.activation == "sigmoid":
            layers.append(nn.Sigmoid())
        elif index + 2 < len(case.units):
            layers.append(nn.ReLU())
    model = nn.Sequential(*layers)
    with torch.no_grad():
        flat = [array for pair in initial_weights(case) for array in pair]
        for parameter, array in zip(model.parameters(), flat):
            parameter.copy_(torch.from_numpy(array))
    return model


def cost(out, y):
    if case.activation == "sigmoid":
        return 0.5 * ((out - functional.one_hot(y, 10)) ** 2).sum(1).mean()
    return functional.cross_entropy(out, y)


def eager_step(x, y):
    model = make_model()
    if job.mode == "channels_last":
        model = model.to(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(model.parameters(), case.rate, case.momentum, fused=True)
    run = torch.compile(model) if job.mode == "compile_model" else model

    def step(indices):
        optimizer.zero_grad()
        loss = cost(run(x[indices]), y[indices])
        loss.backward()
        optimizer.step()
        return loss.detach()

    return step


def compiled_step(x, y):
    model = make_model()
    weights = {name: value.detach() for name, value in model.named_parameters()}
    momenta = {name: torch.zeros_like(value) for name, value in weights.items()}

    def whole(weights, momenta, indices):
        rows, labels = x[indices], y[indices]
        gradient, loss = torch.func.grad_and_value(
            lambda w: cost(torch.func.functional_call(model, w, (rows,)), labels))(weights)
        for name, value in weights.items():
            if case.momentum:
                momenta[name].mul_(case.momentum).add_(gradient[name])
                value.sub_(case.rate * momenta[name])
            else:
                value.sub_(case.rate * gradient[name])
        return loss

    run = torch.compile(whole, fullgraph=True)

    def step(indices):
        with torch.no_grad():
            return run(weights, momenta, indices)

    return step


def manual_step(x, y):
    """Dense networks by hand: every product goes into a buffer that is there already."""
    rows, count = case.batch, len(case.units) - 1
    pairs = [(torch.from_numpy(w.T.copy()), torch.from_numpy(b)) for w, b in initial_weights(case)]
    outs = [torch.empty(rows, units) for units in case.units]
    deltas = [torch.empty(rows, units) for units in case.units]
    gradients = [(torch.empty_like(w), torch.empty_like(b)) for w, b in pairs]
    momenta = [(torch.zeros_like(w), torch.zeros_like(b)) for w, b in pairs]
    hot = torch.eye(10)[y.long()]
    sigmoid = case.activation == "sigmoid"

    def step(indices):
        torch.index_select(x, 0, indices, out=outs[0])
        target = hot.index_select(0, indices)
        for i, (weight, bias) in enumerate(pairs):
            torch.addmm(bias, outs[i], weight, out=outs[i + 1])
            if sigmoid:
                outs[i + 1].sigmoid_()
            elif i + 1 < count:
                outs[i + 1].relu_()
        out = outs[count]
        if sigmoid:
            torch.sub(out, target, out=deltas[count])
            loss = deltas[count].square().sum() * (0.5 / rows)
            torch.ops.aten.sigmoid_backward.grad_input(deltas[count], out, grad_input=deltas[count])
        else:
            log = torch.log_softmax(out, 1)
            loss = -(log * target).sum() / rows
            torch.sub(log.exp_(), target, out=deltas[count])
        deltas[count].mul_(1 / rows)
        for i in reversed(range(count)):
            weight, bias = pairs[i]
            torch.mm(outs[i].t(), deltas[i + 1], out=gradients[i][0])
            torch.sum(deltas[i + 1], 0, out=gradients[i][1])
            if i > 0:
                torch.mm(deltas[i + 1], weight.t(), out=deltas[i])
                if sigmoid:
                    torch.ops.aten.sigmoid_backward.grad_input(deltas[i], outs[i], grad_input=deltas[i])
                else:
                    torch.ops.aten.threshold_backward.grad_input(deltas[i], outs[i], 0, grad_input=deltas[i])
            for value, momentum, gradient in zip(pairs[i], momenta[i], gradients[i]):
                if case.momentum:
                    gradient = momentum.mul_(case.momentum).add_(gradient)
                value.add_(gradient, alpha=-case.rate)
        return loss

    def call(indices):
        with torch.inference_mode():
            return step(indices)

    return call


def train():
    values, labels = load_data(job.data)
    x, y = torch.from_numpy(values), torch.from_numpy(labels).long()
    order = Order(len(labels))
    make = {"compile": compiled_step, "manual": manual_step}.get(job.mode, eager_step)
    step = make(x, y)
    now = {"loss": None}

    def call():
        now["loss"] = step(torch.from_numpy(order.next(case.batch)))

    serve(job, call, loss=lambda: now["loss"].item(), version=version)


def infer():
    values, _ = load_data(job.data, 60 * case.batch)
    inputs = [torch.from_numpy(values[i * case.batch:(i + 1) * case.batch]) for i in range(60)]
    model = nn.Sequential(make_model(), nn.Softmax(1)).eval()
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    if job.mode == "jit":
        model = torch.jit.optimize_for_inference(torch.jit.freeze(torch.jit.trace(model, inputs[0])))
    elif job.mode == "compile":
        import torch._inductor.config as inductor
        inductor.freezing = True
        model = torch.compile(model, fullgraph=True)
    now = {"index": 0}

    def call():
        now["index"] = (now["index"] + 1) % len(inputs)
        model(inputs[now["index"]])

    with torch.inference_mode(job.mode != "compile"), torch.no_grad():
        serve(job, call, version=version)


if case.training:
    train()
else:
    infer()
