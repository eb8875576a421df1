"""The report in a few sentences and figures, in both languages; every number is computed from the report here."""

from __future__ import annotations

from dataclasses import dataclass

from headway.fleet.report.gains import pooled
from headway.fleet.report.model import FleetReport
from headway.fleet.report.stats import Pooled
from headway.fleet.report.svg import clock_text
from headway.fleet.report.words import Pair


@dataclass(frozen=True, slots=True)
class Tile:
    """One figure to be read at a glance."""

    figure: str
    label: Pair
    css: str = ""


def confirmed_on(report: FleetReport, release: int) -> int:
    """How many devices ever confirmed ``release``."""
    return sum(any(e.kind == "confirmed" and e.about == release for e in d.events) for d in report.devices)


def sound(report: FleetReport) -> int:
    """Devices that hold exactly one runnable head at the end."""
    return sum(device.runnable_heads == 1 for device in report.devices)


def tiles(report: FleetReport) -> list[Tile]:
    """The figures at the top of the page."""
    groups, fleet = pooled(report), len(report.devices)
    found = [Tile(f"{sound(report)}/{fleet}", ("devices with exactly one runnable head", "台设备恰有一个可运行分类头"))]
    if "skewed" in groups:
        gain = groups["skewed"].gain * 100
        found.append(Tile(f"{gain:+.1f}", ("points gained by skewed users", "偏好型用户提升（百分点）"), "good"))
    if "balanced" in groups:
        gain = groups["balanced"].gain * 100
        found.append(Tile(f"{gain:+.1f}", ("points, balanced controls", "均衡对照变化（百分点）")))
    if report.bad is not None:
        found.append(
            Tile(
                f"{report.bad.rolled_back}/{report.bad.tried}",
                ("tried the bad release and rolled back", "试用坏版本后回滚"),
                "bad",
            )
        )
        found.append(Tile(str(report.bad.spared), ("spared by the automatic halt", "因自动停止而幸免"), "good"))
    if report.recalls:
        obeyed, holders = sum(r.obeyed for r in report.recalls), sum(r.holders for r in report.recalls)
        found.append(Tile(f"{obeyed}/{holders}", ("obeyed a recall", "执行召回")))
    injected = sum(fault.injected for fault in report.faults)
    found.append(Tile(str(injected), ("faults injected", "次故障注入")))
    return found


def paragraphs(report: FleetReport) -> list[Pair]:
    """What happened, told once, with the figures."""
    found = [_opening(report)]
    groups = pooled(report)
    if "skewed" in groups:
        found.append(_gain(groups))
    if report.bad is not None:
        found.append(_bad(report))
    if report.recalls:
        found.append(_recall(report))
    return found


def _opening(report: FleetReport) -> Pair:
    fleet = len(report.devices)
    rollout = next((f for f in report.releases if any(d.release == f.release for d in report.decisions)), None)
    number = rollout.release if rollout else 0
    took, name = (confirmed_on(report, number) if rollout else 0), f"{report.head_name}@{number}"
    time, good = clock_text(report.simulated_s), sound(report)
    return (
        f"{fleet} simulated devices ran the real client against the real server for {time} of simulated time "
        f"({report.wall_s:.0f} s of yours). {name} was offered in stages, verified, tried and confirmed by {took} of "
        f"{fleet}. At the end {good} of {fleet} hold exactly one runnable head.",
        f"{fleet} 台模拟设备用真实客户端连接真实服务器，模拟时间 {time}（实际用时 {report.wall_s:.0f} 秒）。"
        f"{name} 分阶段提供，经校验与试用，{took}/{fleet} 台确认。"
        f"结束时 {good}/{fleet} 台恰有一个可运行分类头。",
    )


def verdict(result: Pooled) -> Pair:
    """What a pooled difference means, said plainly."""
    if result.low > 0:
        return ("a gain that chance does not explain", "偶然性无法解释的提升")
    if result.high < 0:
        return ("a loss that chance does not explain", "偶然性无法解释的下降")
    return ("a difference that chance alone could explain", "仅凭偶然即可解释的差异")


def _gain(groups: dict[str, Pooled]) -> Pair:
    skewed = groups["skewed"]
    en, zh = verdict(skewed)
    before, after = _percent(skewed.before.value), _percent(skewed.after.value)
    english = (
        f"{skewed.devices} users with a bias trained on their own text; on dialogues they never trained on, accuracy "
        f"went from {before} to {after} ({_points(skewed)}): {en}."
    )
    chinese = (
        f"{skewed.devices} 位有偏好的用户用自己的文本训练；在未参与训练的对话上，准确率由 {before} 变为 {after}"
        f"（{_points(skewed)}）：{zh}。"
    )
    before, after = _percent(skewed.general_before.value), _percent(skewed.general_after.value)
    lost = skewed.general_after.correct < skewed.general_before.correct
    english += f" On texts that belong to nobody those heads went from {before} to {after}"
    english += ": what a bias costs." if lost else ": nothing was forgotten."
    chinese += f"在不属于任何人的文本上，这些分类头由 {before} 变为 {after}"
    chinese += "：这是偏好的代价。" if lost else "：没有遗忘。"
    if "balanced" in groups:
        before, after = _percent(groups["balanced"].before.value), _percent(groups["balanced"].after.value)
        english += f" The balanced controls went from {before} to {after}."
        chinese += f"均衡对照由 {before} 变为 {after}。"
    return english, chinese


def _bad(report: FleetReport) -> Pair:
    bad = report.bad
    assert bad is not None
    name = f"{report.head_name}@{bad.release}"
    english = (
        f"{name} was bad in a way no check at publishing could see. {bad.tried} devices tried it, {bad.rolled_back} "
        f"rolled back by themselves, the server halted the rollout, and {bad.spared} devices never ran it."
    )
    chinese = (
        f"{name} 的缺陷在发布时无法察觉。{bad.tried} 台设备试用，{bad.rolled_back} 台自行回滚，"
        f"服务器停止了灰度，{bad.spared} 台从未运行它。"
    )
    if bad.confirmed:
        english += (
            f" {bad.confirmed} had confirmed it, for their users never say what it gets wrong: a recall took it back."
        )
        chinese += f"{bad.confirmed} 台曾确认它，因为其用户从不说它会出错的内容：由召回收回。"
    return english, chinese


def _recall(report: FleetReport) -> Pair:
    recall = max(report.recalls, key=lambda story: story.holders)
    name, half = f"{report.head_name}@{recall.release}", clock_text(recall.median_s)
    english = (
        f"{name}, confirmed and in use, was then recalled. {recall.obeyed} of the {recall.holders} devices that held "
        f"it left it, half of them within {half}"
    )
    chinese = (
        f"随后召回已确认在用的 {name}。持有它的 {recall.holders} 台中 {recall.obeyed} 台放弃了它，半数在 {half} 内"
    )
    if recall.offline_device and recall.offline_after_s is not None:
        late = clock_text(recall.offline_after_s)
        english += f"; {recall.offline_device}, offline at the time, obeyed {late} after the order"
        chinese += f"；当时离线的 {recall.offline_device} 在命令发出 {late} 后执行"
    return f"{english}.", f"{chinese}。"


def _percent(value: float) -> str:
    return f"{value * 100:.1f} %"


def _points(result: Pooled) -> str:
    return (
        f"{result.gain * 100:+.1f} pp, 95 % {result.low * 100:+.1f} … {result.high * 100:+.1f}, n = {result.before.n}"
    )
