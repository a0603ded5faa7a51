"""Unisono beside open_clip_torch and ONNX Runtime: a ViT-B/32 with random weights, on the same cores, in one run.

    python benches/embed_images.py [--threads 2] [--rounds 5] [--photos DIR]

Needs torch, open_clip_torch, onnx, onnxruntime, safetensors, Pillow, torchvision; and `cargo build --release --workspace --examples`.
Rounds are interleaved, so that a slow minute of the machine hurts everyone alike; medians are compared. Prints Markdown.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

parser = argparse.ArgumentParser()
parser.add_argument("--threads", type=int, default=2)
parser.add_argument("--rounds", type=int, default=5)
parser.add_argument("--batch", type=int, default=32)
parser.add_argument("--photos", type=Path, help="a folder of JPEG files; without it images are drawn")
args = parser.parse_args()
os.environ["OMP_NUM_THREADS"] = str(args.threads)

import numpy as np
import open_clip
import onnxruntime as ort
import torch
from onnxruntime.quantization import QuantType, quantize_dynamic
from open_clip.transform import PreprocessCfg, image_transform_v2
from PIL import Image
from safetensors.torch import save_file

torch.set_num_threads(args.threads)
torch.set_grad_enabled(False)
ROOT = Path(__file__).parent.parent
BIN, SPEED = ROOT / "target/release/unisono", ROOT / "target/release/examples/tower_speed"


def checkpoint(where):
    torch.manual_seed(0)
    model = open_clip.create_model("ViT-B-32", pretrained=None).eval()
    cfg = open_clip.get_model_config("ViT-B-32")
    pre = {"size": [224, 224], "mode": "RGB", "mean": list(open_clip.OPENAI_DATASET_MEAN), "std": list(open_clip.OPENAI_DATASET_STD),
           "interpolation": "bicubic", "resize_mode": "shortest", "fill_color": 0}
    where.mkdir()
    (where / "open_clip_config.json").write_text(json.dumps({"model_cfg": cfg, "preprocess_cfg": pre}))
    save_file({n: t.contiguous() for n, t in model.state_dict().items()}, where / "open_clip_model.safetensors")
    return model, image_transform_v2(PreprocessCfg(**pre), is_train=False)


def photos(where):
    if args.photos:
        return sorted(args.photos.glob("*.jp*g"))
    where.mkdir()
    rng = np.random.default_rng(0)
    for i in range(96):
        small = rng.integers(0, 256, (12, 16, 3), dtype=np.uint8)
        Image.fromarray(small).resize((640, 480), 3).save(where / f"{i:03}.jpg", quality=88)
    return sorted(where.glob("*.jpg"))


def timed(f):
    begun = time.perf_counter()
    f()
    return time.perf_counter() - begun


class Visual(torch.nn.Module):
    def __init__(self, model):
        super().__init__()
        self.visual = model.visual

    def forward(self, x):
        return self.visual(x)


with tempfile.TemporaryDirectory() as tmp:
    tmp = Path(tmp)
    model, transform = checkpoint(tmp / "model")
    files = photos(tmp / "photos")
    x = torch.randn(args.batch, 3, 224, 224)
    # The fused attention of inference has no ONNX form; it is off for the export only.
    torch.backends.mha.set_fastpath_enabled(False)
    torch.onnx.export(Visual(model), (x,), str(tmp / "fp32.onnx"), input_names=["x"], dynamic_axes={"x": {0: "n"}}, dynamo=False)
    torch.backends.mha.set_fastpath_enabled(True)
    quantize_dynamic(str(tmp / "fp32.onnx"), str(tmp / "int8.onnx"), weight_type=QuantType.QInt8)
    options = ort.SessionOptions()
    options.intra_op_num_threads = args.threads
    sessions = {n: ort.InferenceSession(str(tmp / f"{n}.onnx"), options) for n in ("fp32", "int8")}
    peers = {
        "open_clip fp32": lambda: model.encode_image(x),
        "ONNX Runtime fp32": lambda: sessions["fp32"].run(None, {"x": x.numpy()}),
        "ONNX Runtime int8": lambda: sessions["int8"].run(None, {"x": x.numpy()}),
    }
    rates = {}
    for f in peers.values():
        f()
    for _ in range(args.rounds):
        for name, f in peers.items():
            rates.setdefault(name, []).append(args.batch / timed(f))
        for precision in ("fp32", "int8"):
            out = subprocess.run([SPEED, tmp / "model", precision, str(args.batch), "3"], check=True, capture_output=True, text=True).stdout.split()
            rates.setdefault(f"unisono {precision}", []).append(float(out[0]))
    tower = {n: statistics.median(r) for n, r in rates.items()}
    print(f"\nTower alone, batch {args.batch}, {args.threads} threads, median of {args.rounds} rounds, images/s\n\n| | images/s |\n|---|---|")
    for n, r in sorted(tower.items(), key=lambda p: p[1]):
        print(f"| {n} | {r:.1f} |")
    best = max(tower["open_clip fp32"], tower["ONNX Runtime fp32"])
    print(f"\nfp32: {tower['unisono fp32'] / best:.2f}x the best peer; int8: {tower['unisono int8'] / tower['ONNX Runtime int8']:.2f}x ONNX Runtime int8")

    del sessions, peers

    # JPEG file -> normalised tensor, one thread each.
    def pillow():
        for f in files:
            transform(Image.open(f))

    torch.set_num_threads(1)
    env = os.environ | {"OMP_NUM_THREADS": "1"}
    ours, theirs = [], []
    for _ in range(args.rounds):
        theirs.append(len(files) / timed(pillow))
        out = subprocess.run([ROOT / "target/release/examples/image_speed", tmp / "model", *files], check=True, capture_output=True, text=True, env=env)
        ours.append(float(out.stdout.split()[0]))
    torch.set_num_threads(args.threads)
    a, b = statistics.median(ours), statistics.median(theirs)
    print(f"\nJPEG -> 224 tensor, one thread: unisono {a:.0f}/s, Pillow + torchvision {b:.0f}/s: {a / b:.2f}x")

    # Whole process: start, load, decode, embed, write.
    script = tmp / "peer.py"
    script.write_text(f"""
import json, sys, torch, numpy as np, open_clip
from pathlib import Path
from PIL import Image
from safetensors.torch import load_file
from open_clip.transform import PreprocessCfg, image_transform_v2
torch.set_num_threads({args.threads}); torch.set_grad_enabled(False)
cfg = json.load(open(sys.argv[1] + "/open_clip_config.json"))
m = open_clip.create_model("ViT-B-32", pretrained=None).eval(); m.load_state_dict(load_file(sys.argv[1] + "/open_clip_model.safetensors"))
t = image_transform_v2(PreprocessCfg(**cfg["preprocess_cfg"]), is_train=False)
files = sys.argv[3:]; out = []
for i in range(0, len(files), 32):
    out.append(m.encode_image(torch.stack([t(Image.open(f)) for f in files[i:i+32]]), normalize=True))
np.save(sys.argv[2], torch.cat(out).numpy())
""")
    whole = {}
    for _ in range(args.rounds):
        whole.setdefault("open_clip", []).append(timed(lambda: subprocess.run([sys.executable, script, tmp / "model", tmp / "peer.npy", *files], check=True, capture_output=True)))
        for p in ("fp32", "int8"):
            whole.setdefault(p, []).append(timed(lambda: subprocess.run(
                [BIN, "embed", "--model", tmp / "model", "--threads", str(args.threads), "--precision", p, "--out", tmp / f"{p}.npy", *files], check=True, capture_output=True)))
    w = {n: statistics.median(v) for n, v in whole.items()}
    print(f"\nWhole process, {len(files)} JPEG files: open_clip {w['open_clip']:.1f} s; unisono fp32 {w['fp32']:.1f} s ({w['open_clip'] / w['fp32']:.2f}x), int8 {w['int8']:.1f} s ({w['open_clip'] / w['int8']:.2f}x)")
    peer, f32, i8 = (np.load(tmp / f"{n}.npy") for n in ("peer", "fp32", "int8"))
    print(f"\nCosines: fp32 to open_clip at least {(peer * f32).sum(1).min():.6f}; int8 to fp32 at least {(f32 * i8).sum(1).min():.4f}, mean {(f32 * i8).sum(1).mean():.4f}")
