"""Speech to words: is what unisono writes what transformers writes, and what does `--window auto` change?

    python benches/transcripts.py target/release/unisono MODEL RECORDINGS [--most 60] [--said FILE.jsonl] [--precision fp32] [--beams 1]

MODEL is a folder of transformers' Whisper; RECORDINGS is a folder of WAV files of speech, 16 kHz and mono (Debian's asterisk-core-sounds-en-wav has
hundreds at 8 kHz), of which `--most` are taken, evenly by length. transformers writes them one by one, with times, greedily or with as many beams, in
single precision; what it says is kept in `--said`, line by line, and not asked again. unisono writes them with `--no-fallback`, which is the like of
it, in whole windows and in cut ones. Prints each text that differs, by how many words, and the seconds of processor time of both windows.
"""
import argparse
import json
import os
import resource
import subprocess
import sys
import wave
from pathlib import Path

from spoken import apart, words

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("program", type=Path)
parser.add_argument("model", type=Path)
parser.add_argument("recordings", type=Path)
parser.add_argument("--most", type=int, default=60)
parser.add_argument("--said", type=Path, default=Path("said.jsonl"))
parser.add_argument("--precision", default="fp32")
parser.add_argument("--beams", type=int, default=1)
parser.add_argument("--batch", type=int, default=8)
parser.add_argument("--windows-only", action="store_true", help="compare whole windows with cut ones, and leave transformers out")
args = parser.parse_args()
RATE = 16000


def recordings():
    """Evenly by length."""
    found = []
    for path in sorted(args.recordings.rglob("*.wav")):
        with wave.open(str(path)) as w:
            if (w.getframerate(), w.getnchannels(), w.getsampwidth()) == (RATE, 1, 2):
                found.append((w.getnframes(), str(path.resolve())))
    found.sort()
    step = max(1, len(found) / args.most)
    return [found[int(i * step)][1] for i in range(min(args.most, len(found)))]


def transformers(files):
    """What transformers writes, by file."""
    known = [json.loads(line) for line in args.said.read_text().splitlines()] if args.said.exists() else []
    said = {r["file"]: r["text"] for r in known}
    left = [file for file in files if file not in said]
    if not left:
        return said
    import numpy as np
    import torch
    from transformers import WhisperForConditionalGeneration, WhisperProcessor

    torch.set_num_threads(1)
    model = WhisperForConditionalGeneration.from_pretrained(args.model, dtype=torch.float32).eval()
    processor = WhisperProcessor.from_pretrained(args.model)
    language = {} if model.config.vocab_size == 51864 else {"language": "en", "task": "transcribe"}
    with args.said.open("a") as out:
        for file in left:
            with wave.open(file) as w:
                x = np.frombuffer(w.readframes(w.getnframes()), np.int16).astype(np.float32) / 32768
            long = len(x) > 30 * RATE
            more = {"truncation": False, "padding": "longest"} if long else {"padding": "max_length"}
            heard = processor.feature_extractor(x, sampling_rate=RATE, return_tensors="pt", return_attention_mask=True, **more)
            with torch.no_grad():
                ids = model.generate(**heard, return_timestamps=True, do_sample=False, num_beams=args.beams, **language)
            said[file] = processor.tokenizer.decode(ids[0], skip_special_tokens=True)
            out.write(json.dumps({"file": file, "text": said[file]}) + "\n")
            out.flush()
    return said


def unisono(files, window):
    """What unisono writes, by file, and its seconds of processor time."""
    line = [args.program, "transcribe", "--model", args.model, "--language", "en", "--no-fallback", "--precision", args.precision, "--beams", args.beams,
            "--batch", args.batch, "--threads", 1, "--format", "json", "--window", window, *files]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(list(map(str, line)), capture_output=True, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"})
    if done.returncode:
        sys.exit(done.stderr.strip().splitlines()[-1])
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {f["id"]: f["text"] for f in json.loads(done.stdout)["files"]}, seconds


def compare(name, found, wanted, files):
    """Says where two differ."""
    total = different = 0
    for file in files:
        a, b = (" ".join(of.get(file, "").split()) for of in (found, wanted))
        total, n = total + len(words(b)), apart(a, b)
        different += n
        if a != b:
            print(f"{Path(file).name}: {n} words\n  {a}\n  {b}")
    print(f"{name}: {different} of {total} words differ")


files = recordings()
said = {} if args.windows_only else transformers(files)
whole, slow = unisono(files, "whole")
auto, fast = unisono(files, "auto")
if said:
    compare(f"unisono beside transformers, {len(files)} recordings", whole, said, files)
compare("--window auto beside whole", auto, whole, files)
print(f"{slow:.1f} s of processor time with whole windows, {fast:.1f} s with --window auto")
