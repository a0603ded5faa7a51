"""What the speed scripts share: contestants by turns, medians, one table with ratios to the best peer."""
import os
import platform
import statistics
import subprocess
import time
from pathlib import Path


def seconds(f):
    begun = time.perf_counter()
    f()
    return time.perf_counter() - begun


def machine(threads):
    """One line: the processor, its units for few bits, how busy it is."""
    info = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    fields = dict(line.split(":", 1) for line in info.splitlines() if ":" in line)
    fields = {k.strip(): v.strip() for k, v in fields.items()}
    flags = fields.get("flags", "").split()
    units = [name for flag, name in (("avx2", "AVX2"), ("avx512f", "AVX-512"), ("avx512_vnni", "VNNI"), ("avx512_bf16", "BF16"), ("amx_bf16", "AMX")) if flag in flags]
    load = " ".join(f"{x:.1f}" for x in os.getloadavg())
    return f"{fields.get('model name', platform.processor())} ({', '.join(units)}), {os.cpu_count()} cores, {threads} threads; load {load}"


def unisono(program, words, threads, **more):
    """Runs a command with so many threads; its error is ours."""
    environment = os.environ | {"OMP_NUM_THREADS": str(threads)}
    done = subprocess.run([str(program), *map(str, words)], env=environment, capture_output=True, text=True, **more)
    if done.returncode:
        raise SystemExit(f"{' '.join(map(str, words))[:200]}: {done.stderr.strip().splitlines()[-1]}")
    return done.stdout


def rounds(contestants, n):
    """`contestants`: name -> a function that works once and gives its seconds. By turns, each round in the other direction."""
    taken = {name: [] for name in contestants}
    for turn in range(n):
        names = list(contestants) if turn % 2 == 0 else list(contestants)[::-1]
        for name in names:
            taken[name].append(contestants[name]())
    return {name: statistics.median(times) for name, times in taken.items()}


def table(title, medians, amount, unit, groups, extra=None):
    """Markdown. `groups`: name of ours -> names of the peers that it is compared with; `extra`: a last column by name."""
    print(f"\n{title}\n\n| | seconds | {unit} | to its best peer |{' ' + extra[0] + ' |' if extra else ''}")
    print("|---|---|---|---|" + ("---|" if extra else ""))
    for name, s in sorted(medians.items(), key=lambda item: -item[1]):
        peers = [medians[p] for p in groups.get(name, ()) if p in medians]
        ratio = f"{min(peers) / s:.2f}x" if peers else ""
        print(f"| {name} | {s:.2f} | {amount / s:.1f} | {ratio} |" + (f" {extra[1].get(name, '')} |" if extra else ""))


def openvino(path, precision, threads):
    """OpenVINO's CPU plug-in over an ONNX file, `f32` or `bf16`; a function of a dictionary of inputs, or None where it is not installed or does not
    read the file."""
    try:
        import openvino
    except ImportError:
        return None
    try:
        core = openvino.Core()
        settings = {"INFERENCE_NUM_THREADS": threads, "INFERENCE_PRECISION_HINT": precision, "PERFORMANCE_HINT": "LATENCY", "NUM_STREAMS": 1}
        compiled = core.compile_model(core.read_model(str(path)), "CPU", settings)
    except Exception as e:
        print(f"OpenVINO left out for {path.name}: {str(e).strip().splitlines()[-1]}")
        return None
    request = compiled.create_infer_request()
    return lambda inputs: request.infer(inputs)[compiled.output(0)]


def quantized(path, samples, to, **more):
    """The ONNX file at `path` with NNCF's eight-bit products, calibrated on `samples`; None where nncf is not installed."""
    try:
        import nncf
        import openvino
    except ImportError:
        return None
    try:
        made = nncf.quantize(openvino.Core().read_model(str(path)), nncf.Dataset(samples), model_type=nncf.ModelType.TRANSFORMER, **more)
        openvino.save_model(made, str(to), compress_to_fp16=False)
    except Exception as e:
        print(f"NNCF left out: {str(e).strip().splitlines()[-1]}")
        return None
    return to
