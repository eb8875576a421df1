"""The base executor against PyTorch and ONNX Runtime on the same weights: ms per text, ratios within one run.

    python benchmarks/coreml.py [--layers 24] [--lengths 32,64,128] [--threads 1] [--compile] [--write]

A random MobileBERT of the given depth is exported to a Core ML package (float32, and int8 weights) and, straight from
PyTorch, to ONNX (float32, and ONNX Runtime's dynamic int8). All contenders run the same texts in turn, round after
round; a figure is the best round, in processor time when one thread is used, so that other work on the machine disturbs
each alike. Needs the extras sim and trainer.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import platform
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

VOCABULARY = 21_128
RESULTS = Path(__file__).parent / "results" / "coreml.md"
Run = Callable[[np.ndarray, np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Row:
    """Best milliseconds per text of each contender for one shape."""

    length: int
    batch: int
    ms: dict[str, float]


def build_module(layers: int, length: int) -> Any:
    """A random MobileBERT with masked mean pooling and one dense layer: ids, mask → features [n, 512]."""
    import torch
    from transformers import MobileBertConfig, MobileBertModel

    torch.manual_seed(0)
    config = MobileBertConfig(vocab_size=VOCABULARY, num_hidden_layers=layers, attn_implementation="eager")
    encoder = MobileBertModel(config, add_pooling_layer=False).eval()

    class Base(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.encoder, self.dense = encoder, torch.nn.Linear(512, 512)

        def forward(self, ids: Any, mask: Any) -> Any:
            present = mask.to(torch.float32)
            states = self.encoder.embeddings(
                input_ids=ids, position_ids=torch.arange(length)[None], token_type_ids=torch.zeros_like(ids)
            )
            for layer in self.encoder.encoder.layer:
                out = layer(states, (1.0 - present)[:, None, None, :] * -1e4)
                states = out[0] if isinstance(out, tuple | list) else out
            weights = present[:, :, None]
            return torch.tanh(self.dense((states * weights).sum(1) / weights.sum(1)))

    return Base().eval()


def export_core_ml(module: Any, length: int, folder: Path) -> tuple[Path, Path]:
    """Write the float32 and the int8 package; returns their paths."""
    import coremltools as ct
    import coremltools.optimize as cto
    import torch

    class RankOne(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = module

        def forward(self, ids: Any, mask: Any) -> Any:
            return self.inner(ids, mask).reshape(-1)

    example = torch.zeros(1, length, dtype=torch.int64)
    traced = torch.jit.trace(RankOne(), (example, torch.ones_like(example)), check_trace=False)
    model = ct.convert(
        traced,
        inputs=[ct.TensorType(n, (1, length), dtype=np.int32) for n in ("input_ids", "attention_mask")],
        outputs=[ct.TensorType("features", dtype=np.float32)],
        compute_precision=ct.precision.FLOAT32,
        minimum_deployment_target=ct.target.iOS16,
        skip_model_load=True,
    )
    config = cto.coreml.OpLinearQuantizerConfig(mode="linear_symmetric", weight_threshold=512)
    small = cto.coreml.linear_quantize_weights(model, cto.coreml.OptimizationConfig(global_config=config))
    paths = (folder / f"plain-{length}.mlpackage", folder / f"int8-{length}.mlpackage")
    model.save(str(paths[0]))
    small.save(str(paths[1]))
    return paths


def export_onnx(module: Any, length: int, folder: Path) -> tuple[Path, Path]:
    """Write PyTorch's own ONNX export and ONNX Runtime's dynamic int8 of it; returns their paths."""
    import torch
    from onnxruntime.quantization import QuantType, quantize_dynamic

    paths = (folder / f"direct-{length}.onnx", folder / f"direct-int8-{length}.onnx")
    example = torch.zeros(2, length, dtype=torch.int64)
    torch.onnx.export(
        module,
        (example, torch.ones_like(example)),
        str(paths[0]),
        input_names=["ids", "mask"],
        output_names=["features"],
        dynamic_axes={"ids": {0: "n"}, "mask": {0: "n"}},
        opset_version=17,
        dynamo=False,
    )
    quantize_dynamic(str(paths[0]), str(paths[1]), weight_type=QuantType.QInt8)
    return paths


def contenders(length: int, options: argparse.Namespace, folder: Path) -> dict[str, Run]:
    """Every way of running the same weights, by name."""
    import onnxruntime as ort
    import torch

    from headway.coreml.mlprogram import ProgramOptions, compile_program

    module = build_module(options.layers, length)
    plain, small = export_core_ml(module, length, folder)
    direct, direct_small = export_onnx(module, length, folder)
    settings = ort.SessionOptions()
    settings.intra_op_num_threads, settings.log_severity_level = options.threads, 3

    def ours(path: Path, compute: Any) -> Run:
        chosen = ProgramOptions(compute=compute, threads=options.threads, cache_dir=folder / "cache")
        program = compile_program(path, chosen)
        return lambda ids, mask: program.predict({"input_ids": ids[:, None], "attention_mask": mask[:, None]})[
            "features"
        ]

    def onnx(path: Path) -> Run:
        session = ort.InferenceSession(str(path), settings, providers=["CPUExecutionProvider"])
        return lambda ids, mask: session.run(None, {"ids": ids, "mask": mask})[0]

    def pytorch(callable_: Any) -> Run:
        def run(ids: np.ndarray, mask: np.ndarray) -> np.ndarray:
            with torch.inference_mode():
                result: np.ndarray = callable_(torch.from_numpy(ids), torch.from_numpy(mask)).numpy()
                return result

        return run

    found = {"eager": pytorch(module)}
    if options.compile:
        found["compile"] = pytorch(torch.compile(module))
    return found | {
        "ORT fp32": onnx(direct),
        "ours fp32": ours(plain, "float"),
        "ORT int8": onnx(direct_small),
        "ours int8": ours(small, "int8"),
    }


def measure(runs: dict[str, Run], length: int, batch: int, rounds: int, clock: Callable[[], float]) -> Row:
    """Time every contender in turn, *rounds* times; the first call of each is not counted."""
    rng = np.random.default_rng(0)
    ids = rng.integers(0, VOCABULARY, (batch, length))
    mask = np.ones_like(ids)
    results = {name: run(ids, mask) for name, run in runs.items()}
    off = np.abs(results["ours fp32"] - results["eager"]).max()
    assert off < 1e-4, f"ours differs from PyTorch by {off}"
    best = dict.fromkeys(runs, float("inf"))
    for _ in range(rounds):
        for name, run in runs.items():
            start = clock()
            run(ids, mask)
            best[name] = min(best[name], clock() - start)
    return Row(length, batch, {name: 1e3 * seconds / batch for name, seconds in best.items()})


def table(rows: list[Row], options: argparse.Namespace, notes: list[str]) -> str:
    """The results as Markdown."""
    names = list(rows[0].ms)
    pairs = (("eager", "fp32"), ("compile", "fp32"), ("ORT fp32", "fp32"), ("ORT int8", "int8"))
    ratios = [(other, f"ours {mode}") for other, mode in pairs if other in names]
    head = ["length", "batch", *(f"{n} ms" for n in names), *(f"{a} / {b}" for a, b in ratios)]
    lines = [" | ".join(head), " | ".join("---:" for _ in head)]
    for row in rows:
        cells = [str(row.length), str(row.batch), *(f"{row.ms[n]:.2f}" for n in names)]
        lines.append(" | ".join([*cells, *(f"{row.ms[a] / row.ms[b]:.2f}" for a, b in ratios)]))
    body = "\n".join(f"| {line} |" for line in lines)
    points = "\n".join(f"- {note}" for note in notes)
    title = f"# Base executor, MobileBERT of {options.layers} layers, {options.threads} thread(s)"
    return (
        f"{title}\n\nMilliseconds per text, best round; a ratio above 1 means ours is faster.\n\n{body}\n\n{points}\n"
    )


def machine() -> str:
    """The processor, the core count and the load when the run began."""
    model = platform.processor() or platform.machine()
    with contextlib.suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), model)
    return f"{model}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} at the start"


def main() -> None:
    """Run the benchmark and print, and with ``--write`` store, the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--layers", type=int, default=24)
    parser.add_argument("--lengths", default="32,64,128")
    parser.add_argument("--batches", default="1,32")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument(
        "--compile", action="store_true", help="also time torch.compile; needs a C++ compiler and minutes"
    )
    parser.add_argument("--write", action="store_true", help=f"store the table in {RESULTS.name}")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    import onnxruntime
    import torch

    torch.set_num_threads(options.threads)
    # With one thread everything runs on this one: its processor time leaves out what other programs take.
    clock = time.thread_time if options.threads == 1 else time.perf_counter
    notes = [
        machine(),
        f"{'processor' if options.threads == 1 else 'wall'} time",
        f"torch {torch.__version__}, onnxruntime {onnxruntime.__version__}",
    ]
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for length in map(int, options.lengths.split(",")):
            with contextlib.redirect_stderr(io.StringIO()):
                runs = contenders(length, options, folder)
            for batch in map(int, options.batches.split(",")):
                rounds = options.rounds if batch == 1 else max(4, options.rounds // 2)  # two were too few to tell
                rows.append(measure(runs, length, batch, rounds, clock))
                print(rows[-1], file=sys.stderr)
    text = table(rows, options, notes)
    print(text)
    if options.write:
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
