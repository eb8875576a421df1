"""Every sentence of the report that stands for a code, in English and Chinese.

A code without a sentence is shown as itself, so a newer device or server never makes a report unreadable. Reasons of
`headway.contract.compat` have their sentences there, once for device, command line, console and this page.
"""

from __future__ import annotations

from headway.contract.compat import SENTENCES, Reason

Pair = tuple[str, str]
"""One sentence in English and in Chinese."""

ORIGINS: dict[str, Pair] = {
    "bundled": ("bundled with the app (also its embedded head)", "随应用内置（即内嵌分类头）"),
    "fitted_here": ("fitted in this run, on features from the Linux runtime", "本次运行中用 Linux 运行时特征训练"),
    "mislabelled_import": ("fitted here on an import with swapped labels", "本次用标签被调换的数据训练"),
    "trainer": ("from the trainer, kept with the project", "由训练器产出，随项目保存"),
}

PHASES: dict[str, Pair] = {
    "registry": ("registry and keys", "注册中心与密钥"),
    "publish": ("encode, fit, prove, publish", "编码、训练、验证、发布"),
    "rollout": ("staged rollout", "灰度发布"),
    "personalise": ("personalisation", "个性化"),
    "bad_release": ("a bad release", "坏版本"),
    "recall": ("a recall", "召回"),
    "settle": ("stragglers come back", "离线设备回归"),
}

EVENTS: dict[str, Pair] = {
    "launch": ("first launch, embedded head", "首次启动，使用内嵌分类头"),
    "tried": ("first prediction with it: the trial begins", "首次用它预测：试用开始"),
    "installed": ("downloaded and verified", "已下载并校验"),
    "confirmed": ("trial passed, confirmed", "试用通过，已确认"),
    "rolled_back": ("rolled back", "已回滚"),
    "refused": ("refused before install", "安装前拒绝"),
    "personalised": ("trained on its own text", "用本机文本训练"),
    "kept": ("training gave no safe gain, kept as it was", "训练无可靠提升，保持原样"),
    "rebased": ("personal head carried over", "个性化分类头已变基"),
    "recalled": ("obeyed a recall", "已执行召回"),
    "offline": ("went offline", "离线"),
    "online": ("came back online", "恢复在线"),
    "killed": ("process killed, restarted", "进程被杀，已重启"),
    "fault": ("a fault was injected", "注入故障"),
    "unreachable": ("poll failed, will retry", "轮询失败，稍后重试"),
}

USERS: dict[str, Pair] = {
    "skewed": ("skewed", "偏好型"),
    "balanced": ("control: balanced", "对照：均衡"),
    "mislabelled": ("control: wrong labels", "对照：错误标注"),
}

USER_NOTES: dict[str, Pair] = {
    "skewed": (
        "talks mostly about one subject; its labels are right",
        "多谈一个话题；标注正确",
    ),
    "balanced": (
        "talks about all subjects alike; there is nothing personal to learn, so it must not get worse",
        "各话题均衡；没有可学的个性，因此不得变差",
    ),
    "mislabelled": (
        "corrects the app wrongly on purpose; its own judge must refuse or the golden batch must hold",
        "故意错误纠正；本机评判应拒绝，或金标批次不受损",
    ),
}

NETWORKS: dict[str, Pair] = {
    "good": ("good", "良好"),
    "slow": ("slow", "缓慢"),
    "refused": ("connections refused at times", "时常拒绝连接"),
    "truncated": ("answers cut short", "响应被截断"),
    "corrupted": ("answers with flipped bytes", "响应字节损坏"),
    "server_error": ("503 at times", "时常 503"),
    "captive_portal": ("captive portal at first", "先遇强制门户"),
    "offline": ("offline for long", "长时间离线"),
}

FAULTS: dict[str, Pair] = {
    "latency": ("slow answers (simulated seconds)", "响应缓慢（模拟秒）"),
    "refused": ("connection refused", "连接被拒"),
    "truncated": ("answer cut short", "响应被截断"),
    "corrupted": ("byte flipped on the way", "传输中字节翻转"),
    "server_error": ("503 from the way", "途中 503"),
    "captive_portal": ("captive portal: HTML with status 200", "强制门户：状态 200 的 HTML"),
    "offline": ("no network for hours", "数小时无网络"),
    "disk_full": ("disk full", "磁盘已满"),
    "crash": ("process killed inside a write", "写入时进程被杀"),
    "bad_release": ("a release with swapped labels", "标签被调换的版本"),
    "wrong_labels": ("a user who corrects wrongly", "错误纠正的用户"),
}

ACTIONS: dict[str, Pair] = {
    "start": ("start", "开始"),
    "advance": ("advance", "推进"),
    "hold": ("hold", "保持"),
    "halt": ("halt", "停止"),
    "recall": ("recall", "召回"),
    "complete": ("complete", "完成"),
}

DEFECTS: dict[str, Pair] = {
    "mislabelled_import": (
        "A data import swapped two labels. The head was fitted on it, and its golden batch was drawn from the same "
        "import, so every check that compares the release with itself agrees with the mistake.",
        "一次数据导入调换了两个标签。分类头在其上训练，金标批次也取自同一导入，因此凡是拿版本与自身比较的检查都会认同这个错误。",
    ),
}

PASSED: dict[str, Pair] = {
    "validated": ("The file is a valid updatable Core ML head.", "文件是有效的可更新 Core ML 分类头。"),
    "proven": (
        "Base and head gave exactly the golden probabilities (proof).",
        "基座与分类头精确重现金标概率（验证）。",
    ),
    "signed": ("Signatures, digests and lineage were right.", "签名、摘要与谱系正确。"),
    "golden": (
        "On the device the golden batch matched, class by class.",
        "在设备上金标批次逐类一致。",
    ),
    "latency": ("Latency, size and NaN checks passed.", "延迟、大小与 NaN 检查通过。"),
}

CODES: dict[str, Pair] = {
    "app_veto": (
        "The app vetoed the trial: on the user's own corrected texts it was clearly worse than the head before.",
        "应用否决试用：在用户自己纠正过的文本上明显不如之前的分类头。",
    ),
    "not_finite": ("It gave NaN or infinity.", "输出了 NaN 或无穷大。"),
    "golden_features": ("Features deviate from the golden batch.", "特征与金标批次不符。"),
    "golden_probabilities": ("Probabilities deviate from the golden batch.", "概率与金标批次不符。"),
    "golden_agreement": ("Labels deviate from the golden batch.", "标签与金标批次不符。"),
    "too_slow": ("It was too slow.", "速度太慢。"),
    "too_large": ("It was too large.", "体积过大。"),
    "class_floor": ("A class fell below its floor on the golden batch.", "金标批次中有类别低于下限。"),
    "slot_broken": ("Its files were damaged on this device.", "它在本机的文件已损坏。"),
    "attempts": ("The trial did not finish in three attempts.", "三次尝试仍未完成试用。"),
    "disk_full": ("The disk was full.", "磁盘已满。"),
    "stable": ("The release in use was recalled.", "正在使用的版本被召回。"),
    "previous": ("The release kept for a roll back was recalled.", "为回滚保留的版本被召回。"),
    "trial": ("The release on trial was recalled.", "试用中的版本被召回。"),
    "staged": ("The release waiting for its trial was recalled.", "等待试用的版本被召回。"),
    "accepted": ("gained on the local holdout, golden batch held", "本机留出集提升，金标批次未受损"),
    "no_proven_gain": ("no gain beyond luck on the local holdout", "本机留出集没有超出偶然的提升"),
    "no_improvement": ("no training step was better than the release", "没有任何训练步骤优于该版本"),
    "forgets": ("it would have forgotten part of the golden batch", "会遗忘金标批次的一部分"),
    "holdout_too_small": ("too few held-back texts to prove a gain", "留出文本太少，无法证明提升"),
    "too_few_samples": ("too few samples to train", "样本太少，无法训练"),
    "resting": ("trained not long ago", "不久前刚训练过"),
    "replay": ("the new release was trained on the local samples", "用本机样本重新训练新版本"),
    "merge": ("the personal change was added to the new release", "把个性化改变加到新版本"),
    "keep": ("the old personal head was kept", "保留旧的个性化分类头"),
    "discard": ("the new release alone was better", "新版本本身更好"),
    "up_to_date": ("It holds the newest release offered to it.", "已是提供给它的最新版本。"),
    "unreachable": ("The registry could not be reached.", "无法连接注册中心。"),
    "server_error": ("The registry answered with an error.", "注册中心返回错误。"),
    "bad_signature": ("A signature did not fit: the answer was damaged.", "签名不符：响应已损坏。"),
    "malformed_metadata": ("The answer was no metadata.", "响应不是元数据。"),
    "mix_and_match": ("Files did not belong together: an answer was damaged.", "文件互不相符：响应已损坏。"),
    "truncated": ("An answer was cut short.", "响应被截断。"),
    "wrong_content": ("A file was not what its digest says.", "文件与摘要不符。"),
    "broken_off": ("The transfer broke off.", "传输中断。"),
    "timeout": ("No answer in time.", "未及时响应。"),
    "digest_mismatch": ("A file was not what its digest says.", "文件与摘要不符。"),
}

NOT_EVIDENCED: tuple[Pair, ...] = (
    (
        "No phone took part. Devices are the Python client, their Core ML is the Linux runtime of this project; "
        "whether Apple's runtime trains to the same digits is not shown here.",
        "没有手机参与。设备是 Python 客户端，Core ML 由本项目的 Linux 运行时执行；"
        "苹果运行时是否训练出相同数值，此处未证明。",
    ),
    (
        "Latency, memory, battery and heat on a device are not measured.",
        "未测量真机的延迟、内存、电量与发热。",
    ),
    (
        "Users are built from real dialogues of one public corpus, dealt out by topic. Real people differ in more "
        "ways.",
        "用户由一个公开语料的真实对话按话题分配而成。真实用户的差异更多。",
    ),
    (
        "Everything ran over loopback on one machine: no CDN, no TLS, no real radio network.",
        "全部在一台机器的回环网络上运行：没有 CDN、TLS 与真实无线网络。",
    ),
    (
        "Two dozen devices say little about rates below a few percent.",
        "二十余台设备无法说明百分之几以下的比率。",
    ),
)


def sentence(code: str | None) -> Pair:
    """The sentence of a reason or result code; an unknown code is its own sentence."""
    if not code:
        return ("", "")
    try:
        return SENTENCES[Reason(code)]
    except ValueError:
        return CODES.get(code, (code.replace("_", " "), code))


def word(table: dict[str, Pair], code: str) -> Pair:
    """The entry of ``code`` in one of this module's tables, or the code itself."""
    return table.get(code, (code.replace("_", " "), code))
