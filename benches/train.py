"""Training steps of Unisono beside PyTorch's, on the same cores, by turns: a CLIP of ViT-B/32, and heads over kept features.

    python benches/train.py target/release/unisono [--rounds 3] [--steps 3] [--threads 2] [--only clip|heads] [--batch 32] [--heads-batch 16384]

`clip`: random weights, made-up images and texts of 77 tokens in memory, a batch of 32: samples a second of forward, backward and fused AdamW in fp32, and
in bf16 where AMX is (`open_clip` under `torch.autocast`). `heads`: 100,000 pairs of pooled vectors of 384 and 1280 numbers, MLPs of one hidden layer of 1024 into
256, the softmax loss over a batch of 16,384. Ours are the timed steps of `unisono plan`, each side after a step that is not timed, the median of a round's. Needs torch and
open_clip. Prints Markdown.
"""
import argparse
import json
import os
import statistics
import tempfile
from pathlib import Path

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("program", type=Path)
parser.add_argument("--rounds", type=int, default=3)
parser.add_argument("--steps", type=int, default=3)
parser.add_argument("--threads", type=int, default=os.cpu_count())
parser.add_argument("--only", choices=["clip", "heads"])
parser.add_argument("--batch", type=int, default=32)
parser.add_argument("--heads-batch", type=int, default=16384)
args = parser.parse_args()
os.environ["OMP_NUM_THREADS"] = str(args.threads)

import open_clip
import torch
from torch.nn.functional import normalize

import side_by_side as by

torch.set_num_threads(args.threads)
torch.manual_seed(0)
AMX = "amx_bf16" in Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else False

CLIP = """
[model]
embed_dim = 512
[model.text]
vocab_size = 49408
context_length = 77
pooling = "highest"
projection = { kind = "linear", bias = false }
transformer = { width = 512, depth = 12, heads = 8, mlp_ratio = 4.0, causal = true }
[model.image]
size = 224
prefix = 1
pooling = "first"
projection = { kind = "linear", bias = false }
stem = { kind = "patch", size = [32, 32] }
transformer = { width = 768, depth = 12, heads = 12, mlp_ratio = 4.0, input_norm = true, final_norm = "pooled" }
[processor.image]
size = 224
"""

HEADS = """
[model]
embed_dim = 256
[model.text]
vocab_size = 400
context_length = 16
pooling = "mean"
projection = { kind = "mlp", hidden = 1024, activation = "gelu", bias = true }
transformer = { width = 384, depth = 1, heads = 6, mlp_ratio = 1.0 }
[model.image]
size = 32
pooling = "mean"
projection = { kind = "mlp", hidden = 1024, activation = "gelu", bias = true }
stem = { kind = "patch", size = [16, 16] }
transformer = { width = 1280, depth = 1, heads = 20, mlp_ratio = 1.0 }
[processor.image]
size = 32
"""

RULES = "".join(
    f'[[group]]\nmatch = "{m}.projection.*"\n[[group]]\nmatch = "{m}.*"\nfreeze = true\n' for m in ("text", "image"))


def recipe(where, model, batch, precision="fp32", rules=""):
    where.write_text(f"""seed = 1
steps = 1
precision = "{precision}"
{model}
[[data]]
name = "made-up"
source = "nowhere.tar"
per_batch = {batch}
[[objective]]
kind = "contrastive"
[optimizer]
lr = 1e-4
weight_decay = 0.1
{rules}""")
    return where


def ours(path):
    def once():
        plan = json.loads(by.unisono(args.program, ["plan", path, "--probe", args.steps, "--json"], args.threads))
        return plan["probe"]["seconds_per_step"]

    return once


def timed(step):
    """The median of a round's steps, after one that is not timed."""
    def once():
        step()
        return statistics.median(by.seconds(step) for _ in range(args.steps))

    return once


def step_of(params, loss):
    optimizer = torch.optim.AdamW(params, lr=1e-4, weight_decay=0.1, fused=True)

    def step():
        optimizer.zero_grad()
        loss().backward()
        torch.nn.utils.clip_grad_norm_(params, 1.0)
        optimizer.step()

    return step


def clip(tmp):
    torch.manual_seed(0)
    model = open_clip.create_model("ViT-B-32").train()
    images = torch.randn(args.batch, 3, 224, 224)
    texts = torch.randint(1, 49000, (args.batch, 77))
    texts[:, -1] = 49407
    criterion = open_clip.ClipLoss()

    def loss(bf16):
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            image, text, scale = model(images, texts)[:3]
            return criterion(image.float(), text.float(), scale)

    contestants, groups = {}, {}
    for precision in ["fp32", "bf16"] if AMX else ["fp32"]:
        path = recipe(tmp / f"{precision}.toml", CLIP, args.batch, precision)
        contestants[f"open_clip {precision}"] = timed(step_of(list(model.parameters()), lambda bf16=precision == "bf16": loss(bf16)))
        contestants[f"unisono {precision}"] = ours(path)
        groups[f"unisono {precision}"] = [f"open_clip {precision}"]
    by.table(f"ViT-B/32 CLIP, batch {args.batch}", by.rounds(contestants, args.rounds), args.batch, "samples/s", groups)


def heads(tmp):
    n, batch = 100_000, args.heads_batch
    text, image = torch.randn(n, 384), torch.randn(n, 1280)
    head = lambda width: torch.nn.Sequential(torch.nn.Linear(width, 1024), torch.nn.GELU(), torch.nn.Linear(1024, 256))
    of_text, of_image = head(384), head(1280)
    scale = torch.nn.Parameter(torch.tensor(2.659))
    criterion = open_clip.ClipLoss()
    params = [*of_text.parameters(), *of_image.parameters(), scale]

    def loss():
        rows = torch.randperm(n)[:batch]
        return criterion(normalize(of_image(image[rows]), dim=-1), normalize(of_text(text[rows]), dim=-1), scale.exp())

    path = recipe(tmp / "heads.toml", HEADS, batch, rules=RULES)
    contestants = {"PyTorch": timed(step_of(params, loss)), "unisono": ours(path)}
    by.table(f"Heads over kept features, batch {batch}", by.rounds(contestants, args.rounds), batch, "samples/s", {"unisono": ["PyTorch"]})


print(by.machine(args.threads))
with tempfile.TemporaryDirectory() as tmp:
    for name, run in (("clip", clip), ("heads", heads)):
        if args.only in (None, name):
            run(Path(tmp))
