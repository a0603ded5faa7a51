"""Images a second from tar shards to normalised 224 tensors, a core and on two: Unisono's loader beside webdataset with Pillow and torchvision.

    cargo build --release --workspace --examples
    python benches/loader.py [--images 20000] [--rounds 3] [--work DIR] [--shards 1000]

Needs webdataset, open_clip_torch, torchvision, Pillow, numpy. Images of 1/f noise and shapes, 640 x 480, JPEG quality 85, are written once into
shards of a thousand. Both sides decode whole images, resize with Pillow's bicubic filter, crop and normalise: the same tensors. Rounds are
interleaved; the best of each counts. `a core` is one worker with the whole process on one CPU, `two` two workers on two. Then the time to the
first batch of many small shards whose indices are there already.
"""
import argparse
import io
import json
import os
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path

OURS = Path(__file__).parent.parent / "target/release/examples/loader_speed"


def write(folder, images, per_shard, side=(480, 640)):
    import numpy as np

    sys.path.insert(0, str(Path(__file__).parent))
    from image_pipeline import photo

    rng, made = np.random.default_rng(1), []
    for _ in range(min(images, 64)):
        out = io.BytesIO()
        photo(rng, *side).save(out, "JPEG", quality=85)
        made.append(out.getvalue())
    for shard in range((images + per_shard - 1) // per_shard):
        with tarfile.open(folder / f"shard-{shard:05}.tar", "w") as tar:
            for i in range(shard * per_shard, min(images, (shard + 1) * per_shard)):
                for ending, data in (("jpg", made[i % len(made)]), ("txt", f"image {i}".encode())):
                    info = tarfile.TarInfo(f"{i:08}.{ending}")
                    info.size = len(data)
                    tar.addfile(info, io.BytesIO(data))


def reference(folder, workers, batch):
    """Runs in a process of its own: prints the same JSON as ours."""
    import resource

    import torch
    import webdataset
    from open_clip.transform import PreprocessCfg, image_transform_v2

    torch.set_num_threads(1)
    transform = image_transform_v2(PreprocessCfg(size=224), is_train=False)
    shards = sorted(str(p) for p in folder.glob("*.tar"))
    begun = time.perf_counter()
    data = webdataset.WebDataset(shards, shardshuffle=False).decode("pil").to_tuple("jpg").map_tuple(transform)
    loader = torch.utils.data.DataLoader(data.batched(batch), batch_size=None, num_workers=workers if workers > 1 else 0)
    images, first = 0, None
    for (tensor,) in loader:
        if first is None:
            first = time.perf_counter() - begun
        else:
            images += len(tensor)
    kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss + workers * resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    rate = images / (time.perf_counter() - begun - first)
    print(json.dumps({"images_per_second": rate, "first_batch_seconds": first, "peak_mib": kib / 1024}))


def run(command, cpus):
    done = subprocess.run(["taskset", "-c", cpus, *map(str, command)], capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stderr[-2000:])
    return json.loads(done.stdout.splitlines()[-1])


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--images", type=int, default=20000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--shards", type=int, default=1000)
    parser.add_argument("--work", type=Path)
    parser.add_argument("--reference", nargs=3)
    args = parser.parse_args()
    if args.reference:
        return reference(Path(args.reference[0]), int(args.reference[1]), int(args.reference[2]))
    work = args.work or Path(tempfile.mkdtemp(prefix="loader-"))
    large, many = work / "large", work / "many"
    for folder, images, per_shard, side in ((large, args.images, 1000, (480, 640)), (many, 20 * args.shards, 20, (64, 64))):
        if not folder.exists():
            folder.mkdir(parents=True)
            write(folder, images, per_shard, side)
    sides = {
        "unisono": lambda folder, workers: [OURS, f"{folder}/*.tar", workers],
        "webdataset": lambda folder, workers: [sys.executable, __file__, "--reference", folder, workers, 64],
    }
    best = {}
    for _ in range(args.rounds):
        for cores, cpus in ((1, "0"), (2, "0,1")):
            for name, command in sides.items():
                found = run(command(large, cores), cpus)
                known = best.setdefault((name, cores), found)
                if found["images_per_second"] > known["images_per_second"]:
                    best[name, cores] = found
    for (name, cores), found in sorted(best.items()):
        shares = ", ".join(f"{k} {100 * v:.0f} %" for k, v in found.get("shares", {}).items())
        print(f"{name:12} {cores} core{'s' if cores > 1 else ' '}  {found['images_per_second']:7.0f} images/s  {found['peak_mib']:6.0f} MiB  {shares}")
    for cores in (1, 2):
        print(f"ratio on {cores}: {best['unisono', cores]['images_per_second'] / best['webdataset', cores]['images_per_second']:.2f}")
    for name in sides:
        print(f"{name}: two cores give {best[name, 2]['images_per_second'] / best[name, 1]['images_per_second']:.2f} of one")
    cold, warm = (run([OURS, f"{many}/*.tar", 2], "0,1") for _ in range(2))
    print(f"{args.shards} shards: opened in {cold['open_seconds']:.2f} s, then with their indices {warm['open_seconds']:.2f} s, first batch after {warm['first_batch_seconds']:.2f} s")


if __name__ == "__main__":
    main()
