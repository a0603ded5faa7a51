"""Unisono beside transformers: BLIP-base captions and Whisper-base transcripts with random weights, on the same cores, in one run.

    python benches/generate.py [--threads 2] [--rounds 3]

Needs torch, transformers 5.23, safetensors; and `cargo build --release --workspace --examples`.
Every text is as long as the other's: the end token is suppressed. Rounds are interleaved and medians compared. Prints Markdown.
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
parser.add_argument("--rounds", type=int, default=3)
parser.add_argument("--length", type=int, default=21, help="tokens of a caption, its first included")
parser.add_argument("--spoken", type=int, default=65, help="tokens of a window of speech, its first included")
args = parser.parse_args()
os.environ["OMP_NUM_THREADS"] = str(args.threads)

import torch
import transformers as tf

torch.set_num_threads(args.threads)
torch.set_grad_enabled(False)
tf.logging.set_verbosity_error()
SPEED = Path(__file__).parent.parent / "target/release/examples/generate_speed"


def ours(model, length, precision):
    out = subprocess.run([SPEED, model, str(args.threads), "1", str(length), precision], capture_output=True, text=True, check=True)
    return [json.loads(line) for line in out.stdout.splitlines()]


def blip():
    m = tf.BlipForConditionalGeneration(tf.BlipConfig()).eval()
    return m


def whisper():
    c = tf.WhisperConfig(d_model=512, encoder_layers=6, decoder_layers=6, encoder_attention_heads=8, decoder_attention_heads=8, encoder_ffn_dim=2048, decoder_ffn_dim=2048, begin_suppress_tokens=None)
    m = tf.WhisperForConditionalGeneration(c).eval()
    m.generation_config = tf.GenerationConfig(decoder_start_token_id=50257, eos_token_id=50256, pad_token_id=50256)
    return m


def theirs_blip(m, batch, beams):
    x = torch.zeros(batch, 3, 384, 384)
    begun = time.perf_counter()
    out = m.generate(x, max_length=args.length, num_beams=beams, suppress_tokens=[102])
    return time.perf_counter() - begun, out[:, 1:].numel()


def theirs_whisper(m, batch, beams):
    x = torch.zeros(batch, 80, 3000)
    begun = time.perf_counter()
    out = tf.generation.GenerationMixin.generate(m, inputs=x, decoder_input_ids=torch.full((batch, 1), 50257),
                                                 generation_config=tf.GenerationConfig(eos_token_id=50256, pad_token_id=50256, decoder_start_token_id=50257, max_length=args.spoken, num_beams=beams, suppress_tokens=[50256]))
    return time.perf_counter() - begun, out[:, 1:].numel()


print(f"{args.threads} threads, {args.rounds} rounds, medians. tokens/s: image or sound tower included.\n")
print("| model | batch | beams | transformers, tokens/s | Unisono fp32 | ratio | Unisono int8 | ratio |")
print("|---|---|---|---|---|---|---|---|")
with tempfile.TemporaryDirectory() as tmp:
    for name, make, run, length in [("BLIP-base captions", blip, theirs_blip, args.length), ("Whisper-base, 30 s", whisper, theirs_whisper, args.spoken)]:
        where = Path(tmp) / name.split()[0]
        torch.manual_seed(0)
        model = make()
        model.save_pretrained(where)
        settings = [(1, 1), (1, 3), (8, 1), (8, 3)] if name.startswith("BLIP") else [(1, 1), (1, 3)]
        rates = {(who, s): [] for who in ("theirs", "fp32", "int8") for s in settings}
        for b, k in settings:
            run(model, b, k)
        for _ in range(args.rounds):
            for b, k in settings:
                seconds, tokens = run(model, b, k)
                rates["theirs", (b, k)].append(tokens / seconds)
            for precision in ("fp32", "int8"):
                for line in ours(where, length, precision):
                    rates[precision, (line["batch"], line["beams"])].append(line["tokens"] / line["seconds"])
        for s in settings:
            t, f, q = (statistics.median(rates[who, s]) for who in ("theirs", "fp32", "int8"))
            extra = ""
            if name.startswith("Whisper"):
                extra = f" (real-time factor {30 / ((length - 1) / f):.0f}x)"
            print(f"| {name} | {s[0]} | {s[1]} | {t:.1f} | {f:.1f}{extra} | {f / t:.2f}x | {q:.1f} | {q / t:.2f}x |", flush=True)
