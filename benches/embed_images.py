"""Images to embeddings by a ViT-B/32: unisono beside PyTorch (open_clip), ONNX Runtime and OpenVINO, on the same cores, by turns.

    python benches/embed_images.py target/release/examples/tower_speed [MODEL] [--rounds 5] [--threads 2] [--batch 32]

The program is the example that times a tower alone: `cargo build --release --workspace --examples`. MODEL is a folder with OpenCLIP's open_clip_config.json and
open_clip_model.safetensors; without it a ViT-B/32 with random weights is made, which is as fast. Needs torch, open_clip_torch, safetensors, onnx, onnxruntime;
openvino and nncf where they are installed (without nncf it has no int8).
Everyone gets the same pixels, decoded and normalised beforehand. Prints Markdown.
"""
import argparse
import json
import os
import tempfile
from pathlib import Path

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("program", type=Path)
parser.add_argument("model", type=Path, nargs="?")
parser.add_argument("--threads", type=int, default=os.cpu_count())
parser.add_argument("--rounds", type=int, default=5)
parser.add_argument("--batch", type=int, default=32)
parser.add_argument("--times", type=int, default=3, help="batches of a round")
parser.add_argument("--precisions", nargs="+", default=["fp32", "bf16", "int8"])
args = parser.parse_args()
os.environ["OMP_NUM_THREADS"] = str(args.threads)

import numpy as np
import onnxruntime as ort
import open_clip
import torch
from onnxruntime.quantization import QuantType, quantize_dynamic
from safetensors.torch import load_file, save_file

import side_by_side as by

torch.set_num_threads(args.threads)
torch.set_grad_enabled(False)


def checkpoint(where):
    """open_clip's model, and the folder that unisono reads it from."""
    if args.model:
        config = json.loads((args.model / "open_clip_config.json").read_text())["model_cfg"]
        model = open_clip.CLIP(**{k: v for k, v in config.items() if k in ("embed_dim", "vision_cfg", "text_cfg", "quick_gelu")}).eval()
        model.load_state_dict(load_file(args.model / "open_clip_model.safetensors"), strict=False)
        return model, args.model
    torch.manual_seed(0)
    model = open_clip.create_model("ViT-B-32", pretrained=None).eval()
    pre = {"size": [224, 224], "mode": "RGB", "mean": list(open_clip.OPENAI_DATASET_MEAN), "std": list(open_clip.OPENAI_DATASET_STD),
           "interpolation": "bicubic", "resize_mode": "shortest", "fill_color": 0}
    where.mkdir()
    (where / "open_clip_config.json").write_text(json.dumps({"model_cfg": open_clip.get_model_config("ViT-B-32"), "preprocess_cfg": pre}))
    save_file({n: t.contiguous() for n, t in model.state_dict().items()}, where / "open_clip_model.safetensors")
    return model, where


class Visual(torch.nn.Module):
    def __init__(self, model):
        super().__init__()
        self.visual = model.visual

    def forward(self, x):
        return self.visual(x)


with tempfile.TemporaryDirectory() as tmp:
    tmp = Path(tmp)
    model, folder = checkpoint(tmp / "model")
    x = torch.randn(args.batch, 3, 224, 224)
    # The fused attention of inference has no ONNX form; it is off for the export only.
    torch.backends.mha.set_fastpath_enabled(False)
    torch.onnx.export(Visual(model), (x,), str(tmp / "fp32.onnx"), input_names=["x"], dynamic_axes={"x": {0: "n"}}, dynamo=False)
    torch.backends.mha.set_fastpath_enabled(True)
    quantize_dynamic(str(tmp / "fp32.onnx"), str(tmp / "int8.onnx"), weight_type=QuantType.QInt8)
    options = ort.SessionOptions()
    options.intra_op_num_threads = args.threads
    sessions = {n: ort.InferenceSession(str(tmp / f"{n}.onnx"), options, providers=["CPUExecutionProvider"]) for n in ("fp32", "int8")}

    def autocast():
        with torch.autocast("cpu", torch.bfloat16):
            model.encode_image(x)

    works = {
        "PyTorch fp32": lambda: model.encode_image(x),
        "PyTorch bf16 (autocast)": autocast,
        "ONNX Runtime fp32": lambda: sessions["fp32"].run(None, {"x": x.numpy()}),
        "ONNX Runtime int8": lambda: sessions["int8"].run(None, {"x": x.numpy()}),
    }

    eight = by.quantized(tmp / "fp32.onnx", [{"x": np.random.default_rng(i).standard_normal(x.shape, np.float32)} for i in range(4)], tmp / "nncf.xml")
    for name, path, precision in (("fp32", tmp / "fp32.onnx", "f32"), ("bf16", tmp / "fp32.onnx", "bf16"), ("int8", eight, "f32")):
        if path and (run := by.openvino(path, precision, args.threads)):
            works[f"OpenVINO {name}"] = lambda run=run: run({"x": x.numpy()})

    def peer(work):
        work()
        return lambda: by.seconds(lambda: [work() for _ in range(args.times)]) / args.times

    def ours(precision):
        # It prints images a second: of the median batch, of the best one.
        return lambda: args.batch / float(by.unisono(args.program, [folder, precision, args.batch, args.times], args.threads).split()[0])

    contestants = {name: peer(work) for name, work in works.items()} | {f"unisono {p}": ours(p) for p in args.precisions}
    print(by.machine(args.threads))
    medians = by.rounds(contestants, args.rounds)
    single = [n for n in works if n.endswith("fp32")]
    groups = {"unisono fp32": single} | {f"unisono {p}": [*single, *(n for n in works if f" {p}" in n)] for p in ("bf16", "int8")}
    by.table(f"ViT-B/32, the image tower alone, batch {args.batch}, medians of {args.rounds} rounds", medians, args.batch, "images/s", groups)
