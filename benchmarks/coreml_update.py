"""How many heads a core trains: a plain PyTorch loop per device, the single engine, and the fleet engine, side by side.

Rounds of all contenders alternate in one run, and each figure is the best of its rounds, so that other work on the
machine disturbs each alike.  Heads per second are per second of CPU time.  The last columns compare two workers
with one: their CPU time, and the speed-up on the clock, which means something only on idle cores; beside it the
speed-up of two processes with half of the jobs each, which share nothing: what the machine itself allows.  These are
medians of pairs, one and two in turn, with quartiles: the best of few rounds would favour one worker, which only has to
find one core free.  Every figure is for the same training: 50 samples of 512 features, 10 classes, 10 epochs in
mini-batches of 10.

With --realtime what is timed runs at real-time priority, which needs the right to it: other work then waits.

    python benchmarks/coreml_update.py [--devices N] [--rounds N] [--pairs N] [--only CASE] [--realtime] [--save FILE]
"""

# ruff: noqa: E402 - the number of threads must be set before numpy and torch load

from __future__ import annotations

import argparse
import multiprocessing
import os

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = "1"  # per core: one thread

import platform
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from headway.coreml import SGD, Adam, AllowedSet, FleetJob, HeadLayout, MLModel, Range, initial_head, train_fleet
from headway.coreml.update.task import update_model

SAMPLES, FEATURES, CLASSES, EPOCHS, BATCH = 50, 512, 10, 10, 10
CASES: dict[str, tuple[tuple[int, ...], SGD | Adam]] = {
    "512-128-10 SGD": ((128,), SGD(Range(0.05))),
    "512-128-10 momentum": ((128,), SGD(Range(0.05), momentum=Range(0.9))),
    "512-128-10 Adam": ((128,), Adam(Range(0.001))),
    "512-10 SGD": ((), SGD(Range(0.05))),
    "512-10 Adam": ((), Adam(Range(0.001))),
}


def make_jobs(hidden: tuple[int, ...], optimizer: SGD | Adam, count: int) -> list[FleetJob]:
    """*count* devices that start from one head, each with samples of its own."""
    layout = HeadLayout(FEATURES, CLASSES, hidden, optimizer=optimizer, epochs=AllowedSet(EPOCHS, (EPOCHS,)))
    random = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "head.mlmodel"
        path.write_bytes(initial_head(layout, 1))
        model = MLModel(path)
    features = random.standard_normal((count, SAMPLES, FEATURES), dtype=np.float32) / 8
    return [FleetJob(model, rows, random.integers(0, CLASSES, SAMPLES)) for rows in features]


def torch_loop(jobs: list[FleetJob], optimizer: SGD | Adam) -> None:
    """One network, one optimizer and one loop per device, as one would write it."""
    import torch

    torch.set_num_threads(1)
    for job in jobs:
        x, y = torch.from_numpy(job.features), torch.from_numpy(job.labels)
        layers: list[torch.nn.Module] = []
        keys = [key.removesuffix(".weights") for key in job.model.trainable_keys if key.endswith(".weights")]
        for key in keys:
            kernel = torch.from_numpy(job.model.weights[f"{key}.weights"].copy())
            dense = torch.nn.Linear(kernel.shape[1], kernel.shape[0])
            dense.weight.data = kernel
            dense.bias.data = torch.from_numpy(job.model.weights[f"{key}.biases"].copy())
            layers += [dense, torch.nn.ReLU()]
        network = torch.nn.Sequential(*layers[:-1])
        rate = optimizer.learning_rate.default
        if isinstance(optimizer, Adam):
            stepper: torch.optim.Optimizer = torch.optim.Adam(network.parameters(), lr=rate)
        else:
            stepper = torch.optim.SGD(network.parameters(), lr=rate, momentum=optimizer.momentum.default)
        loss_of = torch.nn.CrossEntropyLoss()
        for _ in range(EPOCHS):
            for start in range(0, SAMPLES, BATCH):
                stepper.zero_grad()
                loss_of(network(x[start : start + BATCH]), y[start : start + BATCH]).backward()
                stepper.step()


def single(jobs: list[FleetJob]) -> None:
    """One MLUpdateTask per device."""
    for job in jobs:
        update_model(job.model, {"features": job.features, "probabilities_true": job.labels})


def seconds(work: Callable[[], object], *, realtime: bool) -> tuple[float, float]:
    """Seconds of CPU time, and by the clock, that *work* takes."""
    if realtime:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    clock, cpu = time.perf_counter(), time.process_time()
    kept = work()
    taken = time.process_time() - cpu, time.perf_counter() - clock
    if realtime:
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
    del kept  # giving memory back is no part of the training
    return taken


class Halves:
    """Two processes, each with half of *jobs*."""

    def __init__(self, jobs: list[FleetJob], *, realtime: bool) -> None:
        self._realtime = realtime
        context = multiprocessing.get_context("fork")
        self._begin, self._end, self._times = context.Barrier(3), context.Barrier(3), context.Queue()
        self._workers = [context.Process(target=self._work, args=(jobs[part::2],), daemon=True) for part in range(2)]
        for worker in self._workers:
            worker.start()

    def _work(self, jobs: list[FleetJob]) -> None:
        while True:
            self._begin.wait()
            self._times.put(seconds(lambda: train_fleet(jobs), realtime=self._realtime)[1])
            self._end.wait()

    def seconds(self) -> float:
        """Seconds by the clock until both have trained."""
        self._begin.wait()
        taken = float(max(self._times.get(), self._times.get()))
        self._end.wait()
        return taken

    def close(self) -> None:
        """End both."""
        for worker in self._workers:
            worker.kill()


def measure(label: str, chosen: argparse.Namespace) -> list[str]:
    """One row of the table."""
    hidden, optimizer = CASES[label]
    realtime: bool = chosen.realtime
    jobs = make_jobs(hidden, optimizer, chosen.devices if hidden else 4 * chosen.devices)  # so that a run takes a while
    few = jobs[:6]
    train_fleet(few)
    halves = Halves(jobs, realtime=realtime)
    torch_loop(few[:1], optimizer)
    plain, alone, fleet, pairs = [], [], [], []
    for _ in range(chosen.rounds):
        plain.append(seconds(lambda: torch_loop(few, optimizer), realtime=realtime)[0] / len(few))
        alone.append(seconds(lambda: single(few), realtime=realtime)[0] / len(few))
        fleet.append(seconds(lambda: train_fleet(jobs), realtime=realtime)[0] / len(jobs))
    for _ in range(chosen.pairs):
        cpu, clock = seconds(lambda: train_fleet(jobs), realtime=realtime)
        cpu2, clock2 = seconds(lambda: train_fleet(jobs, workers=2), realtime=realtime)
        pairs.append((cpu2 / cpu, clock / clock2, clock / halves.seconds()))
    halves.close()
    base, middle, fast = min(plain), min(alone), min(fleet)
    more, threads, processes = zip(*pairs, strict=True)
    return [
        f"{1 / base:.0f}",
        f"{1 / middle:.0f}",
        f"{1 / fast:.0f}",
        f"{base / middle:.1f}",
        f"{base / fast:.1f}",
        f"{np.median(more):.2f}",
        *(
            "{1:.2f} [{0:.2f}, {2:.2f}]".format(*np.quantile(ratios, (0.25, 0.5, 0.75)))
            for ratios in (threads, processes)
        ),
    ]


def main() -> None:
    """Print the table, and write it where asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--devices", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--pairs", type=int, default=25)
    parser.add_argument("--only", choices=CASES, help="one row, printed and not saved")
    parser.add_argument("--realtime", action="store_true")
    parser.add_argument("--save", type=Path)
    chosen = parser.parse_args()
    headings = [
        "head",
        "torch/s",
        "task/s",
        "fleet/s",
        "task ratio",
        "fleet ratio",
        "CPU of 2 / 1",
        "speed-up of 2",
        "of 2 processes",
    ]
    lines = ["| " + " | ".join(headings) + " |", "|" + "---|" * len(headings)]
    for label in [chosen.only] if chosen.only else CASES:
        lines.append("| " + " | ".join([label, *measure(label, chosen)]) + " |")
        print(lines[-1], flush=True)
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    about = f"{platform.machine()}, {os.cpu_count()} cores, load {load}, numpy {np.__version__}"
    title = "Heads trained per second of one core, and ratios to the plain PyTorch loop."
    note = "The last two columns are by the clock and mean something only where the load is about 1, its own."
    if chosen.realtime:
        note = "What was timed ran at real-time priority: others took no time from it, but shared caches and memory."
    text = "\n".join(
        [
            title,
            f"{about}; {chosen.devices} heads (of one layer four times as many), best of {chosen.rounds} rounds; "
            f"two workers: medians of {chosen.pairs} pairs [quartiles].",
            note,
            "",
            *lines,
            "",
        ]
    )
    print("\n" + text)
    if chosen.save is not None and not chosen.only:
        chosen.save.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
