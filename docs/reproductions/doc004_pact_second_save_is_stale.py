"""PaddleSlim's QAT with PACT: a second `save_quantized_model` writes the weights of the first one.

Expected: each save (after every epoch, say) holds the network as it is then, and dynamic mode afterwards.
Got: the first save's weights again, without a word: the copy that it keeps was wrapped already, is wrapped
once more, and `set_state_dict` only warns of names that fit no longer. Static mode stays on, too.
"""
import sys, tempfile
import numpy as np, paddle, paddle.nn as nn
from paddle import inference
from paddleslim import QAT

paddle.seed(1)
net = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 10))
quanter = QAT(config={"activation_preprocess_type": "PACT", "onnx_format": False})
quanter.quantize(net)
x = np.random.default_rng(1).standard_normal((32, 16)).astype("float32")
spec = [paddle.static.InputSpec([None, 16], "float32", "x")]
failed = False
for turn in (1, 2, 3):
    net.train()
    optimizer = paddle.optimizer.SGD(0.05, parameters=net.parameters())
    for _ in range(5):
        net(paddle.to_tensor(x)).square().mean().backward()
        optimizer.step()
        optimizer.clear_grad()
    net.eval()
    trained = net(paddle.to_tensor(x)).numpy()
    path = tempfile.mkdtemp() + "/m"
    quanter.save_quantized_model(net, path, spec)
    print(f"save {turn}: dynamic mode expected: True; got: {paddle.in_dynamic_mode()}")
    failed |= not paddle.in_dynamic_mode()
    paddle.disable_static()
    config = inference.Config(path + ".pdmodel", path + ".pdiparams")
    config.disable_glog_info()
    predictor = inference.create_predictor(config)
    predictor.get_input_handle("x").copy_from_cpu(x)
    predictor.run()
    exported = predictor.get_output_handle(predictor.get_output_names()[0]).copy_to_cpu()
    error = np.abs(exported - trained).max() / np.abs(trained).max()
    print(f"save {turn}: off by, of the scale, expected: < 0.001; got: {error:.4f}")
    failed |= bool(error > 0.001)
sys.exit(failed)
