"""What a second worker adds. Two free cores for it can only be had beside a third for the load."""

import os

from tests.bench import ours
from tests.bench.figures import Row, Series
from tests.bench.lab import BLOCKED, Lab, must_be_sound, say
from tests.bench.load import write_names
from tests.bench.peers import ADDRESS, SINKHOLE
from tests.bench.process import Running, free_port, spent

_CLIENTS = 64  # sockets of dnsperf: the kernel deals them out to the workers by their ports
_GOAL = 1.8


def bench(lab: Lab) -> list[Row]:
    """Return rows for throughput and for CPU per query, one worker against two."""
    say("workers: two against one, cache hits")
    cores = sorted(int(core) for core in f"{lab.server_cpus},{lab.load_cpus}".split(","))
    enough = len(cores) >= 4
    load = ",".join(map(str, cores[2:] if enough else cores[1:]))
    names = write_names(lab.folder / "workers.names", (f"www.name{number}.com" for number in range(10_000)))
    servers = [_start(lab, 1, str(cores[0])), _start(lab, 2, f"{cores[0]},{cores[1]}")]
    costs: dict[str, list[float]] = {server.name: [] for server in servers}

    def measure(server: Running, turn: int) -> float:
        before = server.cpu()
        options = {"clients": _CLIENTS, "outstanding": 400, "cpus": load, "threads": 2 if enough else 1}
        result = lab.load(server, names, **options).result()
        server.settle()
        must_be_sound(server, result)
        costs[server.name].append(spent(before, server.cpu()) / 1000 / result.completed)
        say(f"  {server.name:12} {result.qps:9.0f} q/s  {costs[server.name][-1]:.2f} us")
        return result.qps / 1000

    for server in servers:  # fills the caches
        lab.load(server, names, once=True, clients=_CLIENTS, seconds=10.0).result()
    rates = lab.interleaved(servers, measure)
    for server in servers:
        server.stop()
    one, two = rates["one worker"], rates["two workers"]
    single, double = Series.of(costs["one worker"]), Series.of(costs["two workers"])
    more, dearer = two.median / one.median, double.median / single.median
    where = "" if enough else f"; the load needs one of the {os.cpu_count()} cores itself, so this is no judgement"
    return [
        Row("workers", "one worker on one core", f"{one.text('k q/s', 0)} at {single.text('us')}"),
        Row("workers", f"two workers on two cores{where}", f"{two.text('k q/s', 0)} at {double.text('us')}",
            f"{more:.2f} × one worker", f"≥ {_GOAL} × where two cores are free", more >= _GOAL if enough else None),
        Row("workers", "CPU per query, two workers against one: equal means that they do not stand in each other's way",
            double.text("us"), f"{dearer:.2f} × one worker: {2 / dearer:.2f} × the queries from two free cores"),
    ]  # fmt: skip


def _start(lab: Lab, workers: int, cpus: str) -> Running:
    name = {1: "one worker", 2: "two workers"}[workers]
    folder = lab.new_folder(name)
    port = free_port()
    lists = ours.write_list(folder / "lists", BLOCKED)
    config = ours.configure(folder, port, lab.responder, lists=lists, metrics=free_port(), workers=workers)
    server = lab.run_ours(name, config, port, cpus)
    server.wait_ready(BLOCKED[0], SINKHOLE)
    server.wait_ready("ready.com", ADDRESS)
    return server
