"""Clients that ask `unisono serve` at once: with batches across requests, each input by itself, and beside a peer, in turns.

    python benches/serve.py --unisono target/release/unisono --model M [--clients 64] [--seconds 60] [--rounds 3] [--infinity infinity_emb]

Prints requests a second and latencies of each, the processor time that its server took for a request (which other work on the machine changes less), its largest
memory, and answers other than 200; then ratios. `--infinity` names the command of PyPI's infinity-emb, which gets the same model. Only Python's own library.
"""

import argparse
import http.client
import json
import os
import socket
import statistics
import subprocess
import threading
import time

TICKS = os.sysconf("SC_CLK_TCK")


def tree(pid):
    """A process and what it started."""
    found = [pid]
    for one in found:
        try:
            with open(f"/proc/{one}/task/{one}/children") as file:
                found += [int(child) for child in file.read().split()]
        except OSError:
            pass
    return found


def cost(pid):
    """Seconds of processor time so far, and the most memory, in MB."""
    seconds, memory = 0.0, 0.0
    for one in tree(pid):
        try:
            with open(f"/proc/{one}/stat") as file:
                fields = file.read().rsplit(")", 1)[1].split()
            seconds += (int(fields[11]) + int(fields[12])) / TICKS
            with open(f"/proc/{one}/status") as file:
                memory += sum(int(line.split()[1]) for line in file if line.startswith("VmHWM")) / 1000
        except OSError:
            pass
    return seconds, memory


class Server:
    def __init__(self, name, line, path, addr=None, body=None):
        self.name, self.path, self.body = name, path, body or {}
        quiet = None if addr is None else subprocess.DEVNULL
        self.child = subprocess.Popen(line, stdout=subprocess.PIPE if addr is None else quiet, stderr=quiet, text=True)
        self.addr = addr or self.child.stdout.readline().strip().rsplit("/", 1)[1]
        self.rates, self.costs = [], []
        while True:
            try:
                if self.ask(http.client.HTTPConnection(self.addr, timeout=600), "warm") == 200:
                    break
            except OSError:
                time.sleep(0.5)

    def ask(self, connection, text):
        body = json.dumps({"input": [text], "encoding_format": "base64", **self.body})
        connection.request("POST", self.path, body, {"Content-Type": "application/json"})
        reply = connection.getresponse()
        reply.read()
        return reply.status


def client(server, number, until, taken, others):
    connection = http.client.HTTPConnection(server.addr, timeout=120)
    n = 0
    while time.monotonic() < until:
        n += 1
        text = f"client {number} asks for the {n}th time: " + "a red bus in the rain " * (1 + n % 3)
        began = time.monotonic()
        status = server.ask(connection, text)
        if status == 200:
            taken.append(time.monotonic() - began)
        else:
            others.append(status)


def run(server, args):
    taken, others = [], []
    before, _ = cost(server.child.pid)
    began = time.monotonic()
    until = began + args.seconds
    threads = [threading.Thread(target=client, args=(server, i, until, taken, others)) for i in range(args.clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    wall = time.monotonic() - began
    after, memory = cost(server.child.pid)
    taken.sort()
    server.rates.append(len(taken) / wall)
    server.costs.append((after - before) / len(taken) * 1000)
    print(f"{server.name:>10}: {server.rates[-1]:7.1f} requests/s, p50 {taken[len(taken) // 2] * 1000:6.1f} ms, p99 {taken[len(taken) * 99 // 100] * 1000:6.1f} ms, "
          f"{server.costs[-1]:6.2f} ms of processor a request, {memory:5.0f} MB, other answers {sorted(set(others))}", flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--unisono", default="target/release/unisono")
    parser.add_argument("--model", required=True)
    parser.add_argument("--infinity")
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    own = [args.unisono, "serve", "--model", args.model, "--addr", "127.0.0.1:0", "--batch"]
    servers = [Server("together", own + ["32"], "/v1/embeddings"), Server("each alone", own + ["1"], "/v1/embeddings")]
    if args.infinity:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        line = [args.infinity, "v2", "--model-id", args.model, "--served-model-name", "m", "--engine", "torch", "--device", "cpu", "--dtype", "float32",
                "--batch-size", "32", "--no-bettertransformer", "--host", "127.0.0.1", "--port", str(port)]
        servers.append(Server("infinity", line, "/embeddings", f"127.0.0.1:{port}", {"model": "m"}))
    for _ in range(args.rounds):
        for server in servers:
            run(server, args)
    for server in servers:
        server.child.terminate()
        server.child.wait()
    first = servers[0]
    for other in servers[1:]:
        rates = [a / b for a, b in zip(first.rates, other.rates)]
        costs = [b / a for a, b in zip(first.costs, other.costs)]
        print(f"together / {other.name}: {statistics.median(rates):.2f}x the requests ({min(rates):.2f} to {max(rates):.2f}), "
              f"{statistics.median(costs):.2f}x by processor time ({min(costs):.2f} to {max(costs):.2f})")


if __name__ == "__main__":
    main()
