"""Inputs and models for measurements, made of nothing: images, sounds, a manifest, and networks with random weights. Standard library only."""
import array
import json
import math
import random
import struct
import zlib
from pathlib import Path

FIXTURES = Path(__file__).resolve().parent.parent / "fixtures"


def png(path, width, height, seed):
    """A smooth image with some noise: about as much work to decode as a drawing."""
    r = random.Random(seed)
    fx, fy, phase = r.uniform(1, 6), r.uniform(1, 6), r.uniform(0, 6)
    rows = bytearray()
    waves = [[int(127 + 120 * math.sin(fx * x / width * (c + 1) + phase)) for c in range(3)] for x in range(width)]
    for y in range(height):
        shift = int(60 * math.sin(fy * y / height + phase))
        rows.append(0)
        for x in range(width):
            rows += bytes(max(0, min(255, v + shift)) for v in waves[x])
    chunk = lambda kind, data: struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(bytes(rows), 3)) + chunk(b"IEND", b""))


def wav(path, seconds, seed, rate=16000):
    """Syllables of a made-up voice."""
    r = random.Random(seed)
    pitch, pace = r.uniform(90, 240), r.uniform(2, 5)
    samples = array.array("h")
    for i in range(int(seconds * rate)):
        t = i / rate
        loud = max(0.0, math.sin(math.tau * pace * t)) * 9000
        samples.append(int(loud * sum(math.sin(math.tau * pitch * k * t) / k for k in (1, 2, 5))))
    data = samples.tobytes()
    head = b"RIFF" + struct.pack("<I", 36 + len(data)) + b"WAVEfmt " + struct.pack("<IHHIIHH", 16, 1, 1, rate, 2 * rate, 2, 16)
    path.write_bytes(head + b"data" + struct.pack("<I", len(data)) + data)


def from_scratch(where, images=240, sounds=120):
    """`data/emoji` and `data/stamps` of the shape that recipes/from-scratch.toml reads, and that recipe without its evaluations: its path."""
    for name in ("emoji", "stamps"):
        folder = where / "data" / name
        folder.mkdir(parents=True)
        lines = []
        for i in range(images if name == "emoji" else sounds):
            png(folder / f"{i}.png", 96, 96, i)
            record = {"id": f"{i}", "text": [f"thing {i}", f"a red, round, small thing of kind {i % 17}"], "image": f"{i}.png", "split": "train",
                      "lang": "en" if i % 4 or name == "stamps" else "de"}
            if name == "stamps":
                wav(folder / f"{i}.wav", 1.0 + i % 5 * 0.3, i)
                record["audio"] = f"{i}.wav"
            lines.append(json.dumps(record))
        (folder / "manifest.jsonl").write_text("\n".join(lines) + "\n")
    return without_evaluation(where / "from-scratch.toml")


def without_evaluation(path):
    text = (FIXTURES.parent / "recipes" / "from-scratch.toml").read_text()
    text = text[: text.index("[[evaluate]]")]
    path.write_text("".join(line for line in text.splitlines(True) if not line.startswith(("evaluate_every", "best"))))
    return path


def vit(manifest, size=224, patch=32, width=768, depth=12, heads=12, text=512, batch=32, steps=1):
    """A recipe of CLIP's ViT-B/32, from scratch."""
    return f"""seed = 1
steps = {steps}
[model]
embed_dim = 512
[model.text]
vocab_size = 400
context_length = 77
pooling = "mean"
transformer = {{ width = {text}, depth = {depth}, heads = {max(1, text // 64)}, mlp_ratio = 4.0 }}
[model.image]
size = {size}
pooling = "mean"
stem = {{ kind = "patch", size = [{patch}, {patch}] }}
transformer = {{ width = {width}, depth = {depth}, heads = {heads}, mlp_ratio = 4.0 }}
[processor.image]
size = {size}
[[data]]
name = "images"
source = "{manifest}"
split = "train"
per_batch = {batch}
[[objective]]
kind = "contrastive"
[optimizer]
lr = 1e-4
[checkpoint]
every = 0
"""


def whisper(where, width=384, layers=4, heads=6, seconds=30):
    """Whisper of that shape (tiny's by default) with random weights, over the tokenizer of the fixtures' small one."""
    source = FIXTURES / "fusion" / "whisper-speech"
    where.mkdir(parents=True)
    config = json.loads((source / "config.json").read_text())
    frames, mels, longest = 50 * seconds, 80, 448
    vocab = 111 + frames + 1  # after the token that says that there are no times: one for each frame, and the window's end
    config |= {"d_model": width, "decoder_layers": layers, "encoder_layers": layers, "decoder_attention_heads": heads, "encoder_attention_heads": heads,
               "decoder_ffn_dim": 4 * width, "encoder_ffn_dim": 4 * width, "max_source_positions": frames, "max_target_positions": longest,
               "num_mel_bins": mels, "vocab_size": vocab}
    front = json.loads((source / "preprocessor_config.json").read_text())
    front |= {"chunk_length": seconds, "feature_size": mels, "n_samples": 16000 * seconds, "nb_max_frames": 100 * seconds}
    generation = json.loads((source / "generation_config.json").read_text()) | {"max_length": longest}
    for name, value in (("config.json", config), ("preprocessor_config.json", front), ("generation_config.json", generation)):
        (where / name).write_text(json.dumps(value))
    (where / "tokenizer.json").write_bytes((source / "tokenizer.json").read_bytes())
    wide = {"bias": [width], "weight": [width]}
    shapes = {"model.encoder.conv1": {"bias": [width], "weight": [width, mels, 3]}, "model.encoder.conv2": {"bias": [width], "weight": [width, width, 3]},
              "model.encoder.embed_positions": {"weight": [frames, width]}, "model.decoder.embed_positions": {"weight": [longest, width]},
              "model.decoder.embed_tokens": {"weight": [vocab, width]}}
    for part, attentions in (("encoder", ["self_attn"]), ("decoder", ["self_attn", "encoder_attn"])):
        shapes[f"model.{part}.layer_norm"] = wide
        for i in range(layers):
            at = f"model.{part}.layers.{i}."
            shapes |= {at + "final_layer_norm": wide, at + "fc1": {"bias": [4 * width], "weight": [4 * width, width]},
                       at + "fc2": {"bias": [width], "weight": [width, 4 * width]}}
            for a in attentions:
                shapes[at + a + "_layer_norm"] = wide
                for q in ("q", "k", "v", "out"):
                    square = {"weight": [width, width]}
                    shapes[f"{at}{a}.{q}_proj"] = square if q == "k" else square | {"bias": [width]}
    safetensors(where / "model.safetensors", {f"{n}.{k}": s for n, kinds in shapes.items() for k, s in kinds.items()})
    return where


def safetensors(path, shapes):
    """Random weights: norms are 1 and 0, everything else small."""
    r = random.Random(0)
    noise = array.array("f", (r.gauss(0, 0.02) for _ in range(1 << 18)))
    head, at, parts = {}, 0, []
    for name, shape in shapes.items():
        n = math.prod(shape)
        if "norm" in name:
            data = array.array("f", [1.0 if name.endswith("weight") else 0.0]) * n
        else:
            data = (noise[at % 997 :] * (n // len(noise) + 2))[:n]
        parts.append(data)
        head[name] = {"dtype": "F32", "shape": shape, "data_offsets": [at, at + 4 * n]}
        at += 4 * n
    text = json.dumps(head).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for data in parts:
            file.write(data.tobytes())
