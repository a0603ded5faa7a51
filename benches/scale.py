"""What a training step costs on many GPUs, worked out: nothing here was run on one.

    python benches/scale.py [--batch 256 --mfu 0.4 --peak 989 --nvlink 450 --measured BYTES --parameters N --processes 2 --rows ROWS --width D]

For each model and network: milliseconds of arithmetic, of the loss, of gathering features and of adding up gradients, and the share of a step that is arithmetic
with nothing overlapped (as Unisono does it today) and with all of the gradients' way behind the backward pass, each with the cheaper form of the loss. The formulae:

    arithmetic   3 F b / (peak mfu)                       F: forward operations of a pair of text and image; b: pairs of a GPU
    loss         4 * 2 (b G)^2 d / (peak mfu)             G GPUs; every rank makes the whole matrix, tiled: similarities, made again, and two gradients
    local loss   2 / G of it                              world.local_loss: each rank its own rows, in both directions
    gather       2 * 4 (b G) d (m - 1) / m / link         both modalities' vectors of width d in fp32, into a machine of m; with local_loss three times as much
    gradients    2 * 4 P (m - 1) / m / link               P parameters in fp32; a ring between machines, each of which has added up its own
    inside       2 * 4 P (g - 1) / g / nvlink             g GPUs of a machine
    memory       16 P, or with ZeRO 8 P + 8 P / G bytes   weights and gradients; AdamW's two moments

With --measured the formula of bytes is held against `bytes_a_step` of a run's summary.json.
"""

import argparse

p = argparse.ArgumentParser()
p.add_argument("--batch", type=int, default=256, help="pairs of a GPU")
p.add_argument("--mfu", type=float, default=0.4, help="share of the peak that products reach")
p.add_argument("--peak", type=float, default=989, help="TFLOP/s of a GPU in bf16 (H100 SXM)")
p.add_argument("--nvlink", type=float, default=450, help="GB/s of a GPU to the others of its machine")
p.add_argument("--gpus", type=int, default=8, help="of a machine")
p.add_argument("--measured", type=float, help="bytes that a process sent a step")
p.add_argument("--parameters", type=float)
p.add_argument("--processes", type=int, default=2)
p.add_argument("--rows", type=float, default=0, help="vectors of one process a step, of all modalities")
p.add_argument("--width", type=float, default=0)
a = p.parse_args()


def blocks(width, depth, tokens, mlp=4):
    """Parameters of a stack of blocks, and forward operations of one sequence."""
    weights = depth * (4 + 2 * mlp) * width * width
    return weights + depth * (9 + mlp) * width, 2 * weights * tokens + depth * 4 * tokens * tokens * width


def model(image, text, patch, size, dim, vocabulary=49408, context=77):
    """Parameters and forward operations of a pair, of two towers as CLIP has them: (width, depth) each."""
    patches = (size // patch) ** 2
    pi, fi = blocks(*image, patches + 1)
    pt, ft = blocks(*text, context)
    stem = 3 * patch * patch * image[0]
    pi += stem + (patches + 2) * image[0] + 4 * image[0] + image[0] * dim
    pt += vocabulary * text[0] + context * text[0] + 2 * text[0] + text[0] * dim
    return pi + pt, fi + ft + 2 * stem * patches + 2 * dim * (image[0] + text[0])


MODELS = {
    "B/32": (*model((768, 12), (512, 12), 32, 224, 512), 512),
    "L/14": (*model((1024, 24), (768, 12), 14, 224, 768), 768),
    "H/14": (*model((1280, 32), (1024, 24), 14, 224, 1024), 1024),
}

if a.measured:
    n = a.processes
    worked_out = 2 * 4 * a.parameters * (n - 1) / n + 4 * a.rows * a.width * (n - 1)
    print(f"measured {a.measured:,.0f} bytes a step, worked out {worked_out:,.0f}: {a.measured / worked_out:.4f}")

speed = a.peak * 1e12 * a.mfu
print(f"{a.batch} pairs a GPU, {a.peak:.0f} TFLOP/s at {100 * a.mfu:.0f} %, machines of {a.gpus} GPUs, fp32 gradients; milliseconds, worked out")
print("| model | GPUs | batch | network, Gbit/s | arithmetic | loss | local loss | gather | gradients | arithmetic's share | overlapped | GiB, plain | GiB, ZeRO |")
print("|---|---|---|---|---|---|---|---|---|---|---|---|---|")
for name, (params, flops, dim) in MODELS.items():
    for gpus in (8, 64, 512):
        machines = max(gpus // a.gpus, 1)
        for network in (100, 400, 3200) if machines > 1 else (None,):
            total = a.batch * gpus
            arithmetic = 3 * flops * a.batch / speed
            loss = 4 * 2 * total**2 * dim / speed
            link = network * 1e9 / 8 if network else a.nvlink * 1e9 * a.gpus
            around = (machines - 1) / machines
            gather = 2 * 4 * total * dim * around / link + 2 * 4 * total * dim / (a.nvlink * 1e9)
            gradients = 2 * 4 * params * (around / link + (a.gpus - 1) / a.gpus / (a.nvlink * 1e9))
            local = 2 * loss / gpus
            rest = arithmetic + min(loss + gather, local + 3 * gather)
            step = rest + gradients
            # Two thirds of the arithmetic are the backward pass.
            behind = rest + max(0.0, gradients - 2 / 3 * arithmetic)
            memory = [16 * params, 8 * params + 8 * params / gpus]
            cells = [f"{1e3 * t:.1f}" for t in (arithmetic, loss, local, gather, gradients)]
            shares = [f"{100 * arithmetic / t:.0f} %" for t in (step, behind)]
            sizes = [f"{m / 2**30:.1f}" for m in memory]
            row = [name, str(gpus), f"{total:,}", str(network or "–"), *cells, *shares, *sizes]
            print("| " + " | ".join(row) + " |")
print("parameters and forward GFLOP of a pair: " + ", ".join(f"{n} {p / 1e6:.0f} M, {f / 1e9:.1f}" for n, (p, f, _) in MODELS.items()))
