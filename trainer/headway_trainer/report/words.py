"""Words of the report in both languages."""

from __future__ import annotations

Pair = tuple[str, str]
"""The same in English and in Chinese."""

STEPS: dict[str, Pair] = {
    "trim": ("trim the vocabulary", "裁剪词表"),
    "prepare": ("prepare texts", "准备文本"),
    "teacher": ("fine-tune the teacher", "微调教师模型"),
    "second-opinion": ("n-gram second opinion", "n-gram 第二意见"),
    "distil-general": ("general distillation", "通用蒸馏"),
    "distil-task": ("task distillation", "任务蒸馏"),
    "qat": ("quantisation-aware training", "量化感知训练"),
    "lexicon": ("lexicon", "词典"),
    "export-base": ("export the base", "导出基座"),
    "fit-heads": ("fit the heads", "拟合分类头"),
    "evaluate": ("evaluate", "评测"),
    "compress": ("fewer bits, measured", "更少位数的测量"),
    "half": ("float16, measured", "float16 的测量"),
    "gate": ("gate", "门槛"),
    "cards": ("cards", "说明卡"),
}

METRICS: dict[str, Pair] = {
    "size": ("size of the package", "模型包大小"),
    "accuracy": ("accuracy on test", "测试集准确率"),
    "below teacher": ("points below the teacher", "低于教师的百分点"),
    "parity": ("parity of export and training", "导出与训练一致"),
    "memory": ("peak memory", "内存峰值"),
    "latency": ("latency on a phone", "手机延迟"),
    "cpu": ("CPU share on a phone", "手机 CPU 占用"),
}

VERDICTS: dict[str, Pair] = {
    "passed": ("passed", "通过"),
    "failed": ("failed", "未通过"),
    "not evidenced": ("not evidenced", "未证明"),
}

DIFFERENCES: dict[str, Pair] = {
    "better": ("better", "更好"),
    "worse": ("worse", "更差"),
    "not distinguishable": ("not distinguishable", "无法区分"),
}

SPLITS: dict[str, Pair] = {"train": ("train", "训练集"), "dev": ("dev", "开发集"), "test": ("test", "测试集")}


def word(table: dict[str, Pair], key: str) -> Pair:
    """The entry of `key`, or the key itself in both languages."""
    return table.get(key, (key, key))


def metric_pair(metric: str) -> Pair:
    """A line of the gate; where a run has several sets, a line of one set ends with the set's name."""
    name, comma, group = metric.partition(", ")
    english, chinese = word(METRICS, name)
    return f"{english}{comma}{group}", f"{chinese}{comma}{group}"


_IN_CHINESE = (
    (" points below ", " 个百分点，低于 "),
    (" points above ", " 个百分点，高于 "),
    ("features within ", "特征偏差不超过 "),
    (" of QAT, ", "（对 QAT），标签一致 "),
    (" of the palettised student, ", "（对调色板学生模型），标签一致 "),
    (" % of the labels of QAT", " % 与 QAT 标签相同"),
    (" equal labels", ""),
    (" points", " 个百分点"),
    ("no device report", "没有设备报告"),
    (" on this machine's runtime", "（本机运行时）"),
    ("not measured", "未测量"),
    ("] of ", "]，共 "),
)


def gate_text(english: str) -> Pair:
    """A limit or finding of the gate, which are figures with a few words, in both languages."""
    chinese = english
    for words, others in _IN_CHINESE:
        chinese = chinese.replace(words, others)
    return english, chinese
