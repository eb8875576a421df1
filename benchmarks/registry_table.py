"""How ``benchmarks/registry.py`` writes its page."""

from __future__ import annotations

import os
from dataclasses import dataclass, field

from registry_load import CONNECTIONS, MANY, Figure, Kept
from registry_mlflow import Published


@dataclass
class Figures:
    """All that was measured. What did not run here is None or missing, and the page says so."""

    polls: list[Figure] = field(default_factory=list)
    others: list[Figure] = field(default_factory=list)
    outcomes: dict[str, Kept] = field(default_factory=dict)
    """By database."""
    upload_s: float = 0.0
    copy_s: float = 0.0
    published: dict[str, Published] = field(default_factory=dict)
    mlflow_version: str | None = None
    idle_rss: int = 0
    worked_rss: int = 0

    def render(self, requests: int, rounds: int, python: str) -> str:
        """The page."""
        lines = [
            "# Registry: what a request costs",
            "",
            f"`python benchmarks/registry.py`, Python {python}, {os.cpu_count()} cores (load average"
            f" {os.getloadavg()[0]:.1f} at the end, virtual machine, x86-64), one worker of each server. In every one"
            f" of {rounds} rounds each row has its turn with {requests} requests (the slow ones with fewer) over"
            f" {CONNECTIONS} open loopback connections, where the row names no other number; medians. Processor time is"
            " the server's alone, all its threads, by the kernel's"
            " clock; the load runs on the same cores.",
            "",
            *self._polls(),
            *self._others(),
            *self._outcomes(),
            *self._publishing(),
            f"Memory of the registry's largest process: {self.idle_rss / 1e6:.0f} MB after the polls,"
            f" {self.worked_rss / 1e6:.0f} MB after the uploads.",
            "",
        ]
        return "\n".join(lines)

    def _polls(self) -> list[str]:
        cost = {figure.name: figure.cpu_us for figure in self.polls}
        lines = ["## Polls", "", *_table(self.polls), ""]
        for kind in ("304", "200", f"304, {MANY} connections", "304, 1 connection"):
            if f"nginx, {kind}" in cost:
                share = cost[f"nginx, {kind}"] / cost[f"poll, {kind}"]
                lines.append(f"- Poll {kind}: {share * 100:.0f} % of nginx by processor time per request.")
        if "poll, 304, 10 heads" in cost:
            many, few = cost["poll, 304, 10,000 heads"], cost["poll, 304, 10 heads"]
            lines.append(f"- 10,000 heads against 10: {many / few:.2f} × the processor time.")
        if self.mlflow_version is not None:
            times = cost["MLflow, alias"] / cost["poll, 304"]
            lines.append(f"- MLflow {self.mlflow_version} asked where an alias points: {times:.0f} × ours.")
        else:
            lines.append("- MLflow was not measured in this run (`--mlflow PYTHON`).")
        return [*lines, ""]

    def _others(self) -> list[str]:
        return ["## Other requests", "", *_table(self.others), ""]

    def _outcomes(self) -> list[str]:
        lines = [
            "## Outcomes",
            "",
            f"One request is one device with one to three events, each from an address of its own; {MANY} connections,"
            " each sends when it was answered, and it is answered after the commit. Processor time of server, database"
            " and load in µs per device. Lost: acknowledged, but not in the database.",
            "",
            "| database | devices/s | events/s | ms, median / p99 | server | database | load | lost |",
            "|---|---:|---:|---:|---:|---:|---:|---:|",
        ]
        for name, kept in self.outcomes.items():
            load = kept.load
            database = "in the server" if kept.database_us is None else f"{kept.database_us:.0f}"
            lines.append(
                f"| {name} | {load.per_s:,.0f} | {load.accepted / load.seconds:,.0f} | {load.p50_ms:.0f} /"
                f" {load.p99_ms:.0f} | {kept.server_us:.0f} | {database} | {load.cpu_s / load.devices * 1e6:.0f} |"
                f" {kept.lost} |"
            )
        return [*lines, ""]

    def _publishing(self) -> list[str]:
        lines = [
            "## Publishing 20 MB",
            "",
            f"Upload in one request: {self.upload_s * 1000:.0f} ms; hashing and copying the file with fsync:"
            f" {self.copy_s * 1000:.0f} ms (ratio {self.upload_s / self.copy_s:.2f}).",
            "",
        ]
        if not self.published:
            return lines
        lines += [
            "By each one's own client, a random file; ours is verified and on disk, MLflow's is logged, made a version"
            " and given an alias. Neither looks into the model here.",
            "",
            "| client | seconds | requests | bytes sent | bytes received | client's memory, MB |",
            "|---|---:|---:|---:|---:|---:|",
        ]
        for name, p in self.published.items():
            row = f"| {name} | {p.seconds:.2f} | {p.requests} | {p.sent:,} | {p.received:,} | {p.client_mb:.0f} |"
            lines.append(row)
        return [*lines, ""]


def _table(figures: list[Figure]) -> list[str]:
    lines = ["| request | requests/s | processor time, µs/request |", "|---|---:|---:|"]
    return lines + [f"| {f.name} | {f.per_s:,.0f} | {f.cpu_us:.1f} |" for f in figures]
