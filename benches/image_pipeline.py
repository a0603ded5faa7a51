"""Images a second on one thread, JPEG file to normalised 224 tensor: Unisono beside Pillow and torchvision as OpenCLIP uses them.

    cargo build --release -p unisono-eval --example image_stages
    python benches/image_pipeline.py [--photos DIR] [--rounds 5]

Needs open_clip_torch 3.3, torchvision, Pillow, numpy. Rounds are interleaved; the best of each side counts. Without --photos, 640x480
images of 1/f noise and shapes are written as JPEG of quality 85, 4:2:0.
"""
import argparse
import os
import subprocess
import tempfile
import time
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"
import numpy as np
import torch
from open_clip.transform import PreprocessCfg, image_transform_v2
from PIL import Image

torch.set_num_threads(1)
STAGES = Path(__file__).parent.parent / "target/release/examples/image_stages"


def photo(rng, h=480, w=640):
    f = np.maximum(np.hypot(np.fft.fftfreq(w)[None], np.fft.fftfreq(h)[:, None]), 1 / w) ** -1.3
    channels = [np.fft.ifft2(np.fft.fft2(rng.standard_normal((h, w))) * f).real for _ in range(3)]
    x = np.stack(channels, -1) @ np.array([[1, 1, 1], [0.35, -0.1, -0.2], [0.1, 0.3, -0.35]])
    x = (x - x.mean()) / x.std() * 55 + 120
    yy, xx = np.ogrid[:h, :w]
    for _ in range(12):
        inside = (yy - rng.integers(h)) ** 2 + (xx - rng.integers(w)) ** 2 < rng.integers(15, 90) ** 2
        x[inside] = x[inside] * 0.4 + rng.integers(0, 256, 3) * 0.6
    return Image.fromarray(x.clip(0, 255).astype(np.uint8))


def reference(files, transform):
    """Seconds of decoding, of resizing and cropping, of conversion and normalising."""
    spent = np.zeros(3)
    for f in files:
        t = [time.perf_counter()]
        image = Image.open(f)
        image.load()
        t.append(time.perf_counter())
        for step in transform.transforms[:3]:  # resize, crop, RGB
            image = step(image)
        t.append(time.perf_counter())
        for step in transform.transforms[3:]:
            image = step(image)
        t.append(time.perf_counter())
        spent += np.diff(t)
    return [*spent, spent.sum()]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--photos", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as tmp:
        if args.photos:
            files = sorted(args.photos.glob("*.jp*g"))
        else:
            rng, files = np.random.default_rng(5), [Path(tmp) / f"{i:02}.jpg" for i in range(24)]
            for f in files:
                photo(rng).save(f, quality=85, subsampling=2)
        transform = image_transform_v2(PreprocessCfg(), is_train=False)
        theirs, ours = [], []
        for _ in range(args.rounds):
            theirs.append([len(files) / s for s in reference(files, transform)])
            out = subprocess.run([STAGES, *files], check=True, capture_output=True, text=True).stdout.split()
            ours.append([float(v) for v in out[1::2]])
        print("| images/s, one thread | Pillow + torchvision | Unisono | ratio |\n|---|---|---|---|")
        for name, a, b in zip(["decode", "resize and crop", "normalise", "whole"], np.max(theirs, 0), np.max(ours, 0)):
            print(f"| {name} | {a:.0f} | {b:.0f} | {b / a:.2f} |")


if __name__ == "__main__":
    main()
