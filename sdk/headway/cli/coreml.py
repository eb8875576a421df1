"""``headway coreml``: validate, inspect, run and train Core ML models on Linux."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from headway.cli.arguments import writable
from headway.cli.options import AsJson
from headway.cli.output import note, print_json, print_table

if TYPE_CHECKING:
    from headway.coreml.update.context import MLUpdateContext

__all__ = ["app"]

EXIT_INVALID = 3

app = typer.Typer(name="coreml", no_args_is_help=True, help="Validate, inspect, run and train Core ML models on Linux.")

Model = Annotated[Path, typer.Argument(help="A .mlmodel, a .mlpackage folder, or a zip of one.", metavar="MODEL")]


@app.command()
def validate(
    model: Model,
    as_json: AsJson = False,
    updatable: Annotated[bool, typer.Option("--updatable", help="Also ask that it can be trained.")] = False,
) -> None:
    """Check every rule; prints one line per rule broken and exits 3 when there is one."""
    from headway.coreml.validator import validate as find

    findings = find(model, require_updatable=updatable)
    if as_json:
        rows = [{"rule": f.rule, "layer": f.layer, "message": f.message, "hint": f.hint} for f in findings]
        print_json({"schema": 1, "valid": not findings, "findings": rows})
    else:
        for finding in findings:
            typer.echo(finding.line())
    if findings:
        raise typer.Exit(EXIT_INVALID)
    note(f"{model.name} is valid.")


@app.command()
def predict(
    model: Model,
    inputs: Annotated[Path, typer.Option("--inputs", help="A .npz of arrays by feature name.")],
    outputs: Annotated[Path, typer.Option("--outputs", help="Where to write the outputs, as .npz.")],
) -> None:
    """Run a model on arrays; a leading batch axis is allowed on every input."""
    from headway.coreml.arrays import read_arrays, write_arrays
    from headway.coreml.model import MLModel

    writable(outputs)
    found = MLModel(model).predict(read_arrays(inputs))
    write_arrays(outputs, found)
    for name, values in found.items():
        note(f"{name}: {values.dtype} {list(values.shape)}")


@app.command()
def update(
    model: Model,
    data: Annotated[Path, typer.Option("--data", help="A .npz of arrays by training-input name.")],
    out: Annotated[Path, typer.Option("--out", help="Where to write the trained model.")],
    epochs: Annotated[int | None, typer.Option(help="Passes over the samples.")] = None,
    mini_batch_size: Annotated[int | None, typer.Option(help="Samples per step.")] = None,
    learning_rate: Annotated[float | None, typer.Option(help="Step size.")] = None,
    momentum: Annotated[float | None, typer.Option(help="SGD's momentum.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of the shuffle.")] = None,
    shuffle: Annotated[bool | None, typer.Option(help="Shuffle the samples.")] = None,
    semantics: Annotated[Path | None, typer.Option(help="Switches decided by a device (calibrate read).")] = None,
) -> None:
    """Train a head on samples as a device would; prints the loss of each epoch as a line of JSON.

    Parameters left out keep the model's defaults; others must be in its allowed sets and ranges.
    """
    from headway.coreml.arrays import read_arrays
    from headway.coreml.update.context import MLUpdateProgressHandlers
    from headway.coreml.update.errors import update_error
    from headway.coreml.update.keys import MLModelConfiguration, MLParameterKey, MLUpdateProgressEvent
    from headway.coreml.update.semantics import DEFAULT_SEMANTICS
    from headway.coreml.update.switches import read_semantics
    from headway.coreml.update.task import MLUpdateTask

    writable(out)
    chosen: dict[MLParameterKey, Any] = {
        MLParameterKey.epochs: epochs,
        MLParameterKey.miniBatchSize: mini_batch_size,
        MLParameterKey.learningRate: learning_rate,
        MLParameterKey.momentum: momentum,
        MLParameterKey.seed: seed,
        MLParameterKey.shuffle: shuffle,
    }
    configuration = MLModelConfiguration({key: value for key, value in chosen.items() if value is not None})
    handlers = MLUpdateProgressHandlers(MLUpdateProgressEvent.epochEnd, _print_epoch)
    switches = read_semantics(semantics) if semantics is not None else DEFAULT_SEMANTICS
    task = MLUpdateTask(model, read_arrays(data), configuration, handlers, semantics=switches)
    task.resume()
    if task.error is not None or task.context is None:
        raise task.error or update_error("The task did not complete.", "Try again.")
    task.context.model.write(out)
    note(f"Trained {model.name} into {out.name}.")


def _print_epoch(context: MLUpdateContext) -> None:
    from headway.coreml.update.keys import MLMetricKey, MLParameterKey

    line = {
        "epoch": context.metrics[MLMetricKey.epochIndex],
        "loss": context.metrics[MLMetricKey.lossValue],
        "learning_rate": context.parameters[MLParameterKey.learningRate],
    }
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


@app.command()
def inspect(model: Model, as_json: AsJson = False) -> None:
    """Show what is inside a model: interface, layers or operations, parameters, sizes, training."""
    from headway.coreml.inspection import inspect_model

    found = inspect_model(model)
    if as_json:
        print_json(found)
    else:
        _show(found, "")
        typer.echo(f"{found['bytes']:,} bytes in {len(found['files'])} file(s), {found['digest']}")


calibrate = typer.Typer(name="calibrate", no_args_is_help=True, help="Let a phone decide what no document says.")
app.add_typer(calibrate)


@calibrate.command("make")
def make(folder: Annotated[Path, typer.Argument(help="Where to write the kit.", metavar="DIR")]) -> None:
    """Write heads, samples, expected readings and the program that runs them on a phone."""
    from headway.coreml.calibration.kit import make_kit

    make_kit(folder)
    note(f"Wrote the kit to {folder.name}: add Calibrate.swift and the folder to an app and run it on a phone.")


@calibrate.command("read")
def read(
    result: Annotated[Path, typer.Argument(help="The phone's result.", metavar="RESULT.json")],
    out: Annotated[Path | None, typer.Option(help="Where to write the switches for `update --semantics`.")] = None,
    as_json: AsJson = False,
) -> None:
    """Decide each switch from a phone's result; exits 3 when one stays undecided."""
    from headway.coreml.calibration.reading import decide, read_result
    from headway.coreml.update.switches import write_semantics

    if out is not None:
        writable(out)
    semantics, decisions = decide(read_result(result))
    if as_json:
        rows = [{"switch": d.switch, "setting": d.setting, "reason": d.reason} for d in decisions]
        print_json({"schema": 1, "semantics": semantics.to_json(), "decisions": rows})
    else:
        shown = [(d.switch, "undecided" if d.setting is None else d.setting, d.reason) for d in decisions]
        print_table(shown, ("switch", "setting", "why"))
    if out is not None:
        write_semantics(out, semantics)
    if any(decision.setting is None for decision in decisions):
        raise typer.Exit(EXIT_INVALID)


def _show(found: dict[str, Any], indent: str) -> None:
    updatable = "updatable" if found["updatable"] else "frozen"
    typer.echo(f"{indent}{found['type']}, specification version {found['specification_version']}, {updatable}")
    for what in ("inputs", "outputs", "training_inputs", "feature_contract"):
        for feature in found[what]:
            shape = f" {feature['dtype']} {feature['shape']}" if "shape" in feature else f" {feature['type']}"
            typer.echo(f"{indent}  {what.replace('_', ' ').removesuffix('s')}: {feature['name']}{shape}")
    if found["class_labels"]:
        typer.echo(f"{indent}  labels: {', '.join(map(str, found['class_labels']))}")
    for index, stage in enumerate(found.get("stages", [])):
        typer.echo(f"{indent}  stage {index}:")
        _show(stage, indent + "    ")
    if "layers" in found:
        columns = ("name", "type", "shape", "parameters", "precision", "updatable")
        print_table(([layer[key] for key in columns] for layer in found["layers"]), columns)
    if "operations" in found:
        print_table(found["operations"].items(), ("operation", "count"))
    if found.get("weights"):
        stored = ("type", "tensors", "elements", "bytes")
        print_table(([row[key] for key in stored] for row in found["weights"]), ("weights", *stored[1:]))
    if "training" in found:
        _show_training(found["training"])


def _show_training(training: dict[str, Any]) -> None:
    losses = ", ".join(loss["type"] for loss in training["losses"])
    typer.echo(f"training: {training['optimizer']}, {losses}")
    rows = []
    for name, parameter in training["parameters"].items():
        allowed = _brief(parameter["allowed"]) if "allowed" in parameter else parameter.get("range", "")
        rows.append((name, parameter["default"], allowed))
    print_table(rows, ("parameter", "default", "allowed"))


def _brief(values: list[int]) -> str:
    """A list of integers with runs of consecutive ones joined: 1-3, 5."""
    runs: list[list[int]] = []
    for value in sorted(values):
        if runs and value == runs[-1][1] + 1:
            runs[-1][1] = value
        else:
            runs.append([value, value])
    return ", ".join(str(low) if low == high else f"{low}-{high}" for low, high in runs)
