"""ONNX Runtime as a peer, inference only. Modes: run = arrays in and out, binding = inputs and output bound."""

from common import initial_weights, load_data, serve, start

job = start(lambda case: [], ["run", "binding"])

import numpy as np  # noqa: E402
import onnxruntime  # noqa: E402
from onnx import TensorProto, helper, numpy_helper  # noqa: E402

case = job.case


def make_model():
    nodes, tensors, value = [], [], "x"
    pairs = initial_weights(case)
    for index, (weight, bias) in enumerate(pairs):
        names = [f"w{index}", f"b{index}"]
        tensors += [numpy_helper.from_array(array, name) for array, name in zip((weight, bias), names)]
        nodes.append(helper.make_node("Gemm", [value, *names], [f"z{index}"], transB=1))
        last = index + 1 == len(pairs)
        value = "out" if last else f"a{index}"
        nodes.append(helper.make_node("Softmax" if last else "Relu", [f"z{index}"], [value]))
    inputs = helper.make_tensor_value_info("x", TensorProto.FLOAT, [case.batch, case.units[0]])
    outputs = helper.make_tensor_value_info("out", TensorProto.FLOAT, [case.batch, case.units[-1]])
    graph = helper.make_graph(nodes, "mlp", [inputs], [outputs], tensors)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10).SerializeToString()


options = onnxruntime.SessionOptions()
options.intra_op_num_threads = job.threads
options.inter_op_num_threads = 1
session = onnxruntime.InferenceSession(make_model(), options, providers=["CPUExecutionProvider"])
values, _ = load_data(job.data, 60 * case.batch)
inputs = [np.ascontiguousarray(values[i * case.batch:(i + 1) * case.batch]) for i in range(60)]
now = {"index": 0}


def bind(array):
    binding = session.io_binding()
    binding.bind_cpu_input("x", array)
    binding.bind_output("out")
    return binding


bindings = [bind(array) for array in inputs]


def call():
    now["index"] = (now["index"] + 1) % len(inputs)
    if job.mode == "run":
        session.run(None, {"x": inputs[now["index"]]})
    else:
        session.run_with_iobinding(bindings[now["index"]])


serve(job, call, version=f"onnxruntime {onnxruntime.__version__}")
