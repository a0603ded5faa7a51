"""Speech to words: unisono beside faster-whisper (CTranslate2), the same weights, the same cores, by turns.

    python benches/whisper.py target/release/unisono --model base=CT2_FOLDER [--model tiny.en=CT2_FOLDER] RECORDINGS [--minutes 10] [--rounds 3]

A CT2_FOLDER is one of faster-whisper's, which both read; RECORDINGS is a folder of WAV files of speech (Debian's asterisk-core-sounds-en-wav
has hundreds), joined with half a second between them until the minutes are full. Needs faster-whisper.
faster-whisper is timed loaded, plain and by its batched pipeline (which cuts at silence and writes its pieces together); unisono as a whole process over pieces of
at most 30 seconds that it writes together, as the pipeline does, and over the whole recording, one window after another; its start, over the last three
seconds of speech, is taken off. Greedy and with five beams, without drawing again. Prints Markdown: real-time factors, ratios to the best of the peer's of that
search, and the share of words in which each differs from faster-whisper in fp32, plain.
"""
import argparse
import array
import os
import tempfile
import wave
from pathlib import Path

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("program", type=Path)
parser.add_argument("recordings", type=Path)
parser.add_argument("--model", action="append", required=True, metavar="NAME=FOLDER")
parser.add_argument("--minutes", type=float, default=10)
parser.add_argument("--rounds", type=int, default=3)
parser.add_argument("--threads", type=int, default=os.cpu_count())
parser.add_argument("--batch", type=int, default=8)
parser.add_argument("--beams", type=int, nargs="+", default=[1, 5])
parser.add_argument("--precisions", nargs="+", default=["fp32", "bf16", "int8"])
args = parser.parse_args()
os.environ["OMP_NUM_THREADS"] = str(args.threads)

from faster_whisper import BatchedInferencePipeline, WhisperModel

import side_by_side as by
from spoken import apart, words

RATE = 16000


def samples(path):
    """16 kHz, mono; eight kilohertz are doubled by straight lines, others left out."""
    with wave.open(str(path)) as w:
        if w.getsampwidth() != 2 or w.getnchannels() != 1 or w.getframerate() not in (8000, RATE):
            return None
        x = array.array("h", w.readframes(w.getnframes()))
        if w.getframerate() == RATE:
            return x
    doubled = array.array("h", bytes(4 * len(x)))
    doubled[0::2] = x
    doubled[1::2] = array.array("h", [(a + b) // 2 for a, b in zip(x, [*x[1:], x[-1]])]) if x else x
    return doubled


def save(path, x):
    with wave.open(str(path), "wb") as w:
        w.setparams((1, 2, RATE, 0, "NONE", ""))
        w.writeframes(x.tobytes())


def speech(where):
    """One long file, and the same in pieces of at most 30 seconds that end between two recordings."""
    pause = array.array("h", bytes(RATE))
    whole, piece, pieces = array.array("h"), array.array("h"), []
    for path in sorted(args.recordings.rglob("*.wav")):
        x = samples(path)
        if not x or not RATE <= len(x) <= 25 * RATE:
            continue
        if len(piece) + len(x) > 29 * RATE:
            pieces.append(piece)
            piece = array.array("h")
        piece += x + pause
        whole += x + pause
        if len(whole) >= args.minutes * 60 * RATE:
            break
    pieces.append(piece)
    (where / "pieces").mkdir()
    for i, of in enumerate(pieces):
        save(where / "pieces" / f"{i:04}.wav", of)
    save(where / "whole.wav", whole)
    save(where / "start.wav", whole[-3 * RATE :])
    return len(whole) / RATE


with tempfile.TemporaryDirectory() as tmp:
    tmp = Path(tmp)
    length = speech(tmp)
    print(by.machine(args.threads))
    for name, folder in (m.split("=", 1) for m in args.model):
        for beams in args.beams:
            found, contestants, groups = {}, {}, {}
            plain = {"language": "en", "beam_size": beams, "temperature": 0.0, "condition_on_previous_text": False}
            for kind in ("float32", "int8"):
                model = WhisperModel(folder, device="cpu", compute_type=kind, cpu_threads=args.threads)
                pipeline = BatchedInferencePipeline(model)

                def alone(label, model=model):
                    def work():
                        found[label] = " ".join(s.text for s in model.transcribe(str(tmp / "whole.wav"), **plain)[0])
                    return lambda: by.seconds(work)

                def together(label, pipeline=pipeline):
                    def work():
                        parts = pipeline.transcribe(str(tmp / "whole.wav"), batch_size=args.batch, without_timestamps=False, **plain)[0]
                        found[label] = " ".join(s.text for s in parts)
                    return lambda: by.seconds(work)

                for label, make in ((f"faster-whisper {kind}", alone), (f"faster-whisper {kind}, batched", together)):
                    contestants[label] = make(label)

            for precision in args.precisions:
                def ours(label, what, precision=precision):
                    def run(*files):
                        return by.unisono(args.program, ["transcribe", "--model", folder, "--language", "en", "--no-fallback", "--beams", beams, "--precision", precision,
                                          "--batch", args.batch, "--threads", args.threads, "--format", "text", *files], args.threads)

                    def work():
                        said = run(*what)
                        found[label] = " ".join(line for line in said.splitlines() if not line.startswith("# "))
                    return lambda: by.seconds(work) - by.seconds(lambda: run(tmp / "start.wav"))

                pieces = sorted((tmp / "pieces").glob("*.wav"))
                for label, what in ((f"unisono {precision}, pieces together", pieces), (f"unisono {precision}, one window after another", [tmp / "whole.wav"])):
                    contestants[label] = ours(label, what)
                    kind = ["batched"] if "pieces" in label else ["32", "int8"]
                    groups[label] = [p for p in contestants if p.startswith("faster") and any(p.endswith(k) for k in kind)]
            medians = by.rounds(contestants, args.rounds)
            want = found["faster-whisper float32"]
            differ = {n: f"{100 * apart(text, want) / max(1, len(words(want))):.1f} %" for n, text in found.items()}
            title = f"{name}, {'greedy' if beams == 1 else f'{beams} beams'}, {length / 60:.1f} minutes of speech, medians of {args.rounds} rounds"
            by.table(title, medians, length, "times as fast as speech", groups, ("words unlike faster-whisper fp32", differ))
