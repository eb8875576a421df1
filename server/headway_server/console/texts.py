"""The console's words, English and Chinese side by side."""

from __future__ import annotations

LANGUAGES = ("en", "zh")

TEXTS: dict[str, tuple[str, str]] = {
    "title": ("Headway registry", "Headway 注册表"),
    "apps": ("Apps", "应用"),
    "no_apps": ("No app yet. Create one with an admin token.", "还没有应用。请用管理员令牌创建。"),
    "login": ("Sign in", "登录"),
    "logout": ("Sign out", "退出"),
    "token": ("Access token", "访问令牌"),
    "login_note": (
        "Paste a token with the scope read. It stays in a cookie of this browser until you sign out.",
        "粘贴一个有 read 权限的令牌。它只保存在本浏览器的 Cookie 中，退出后删除。",
    ),
    "login_failed": ("That token is not valid here.", "这个令牌在此无效。"),
    "channels": ("Channels and rollouts", "通道与灰度发布"),
    "lineage": ("Lineage", "谱系"),
    "lineage_note": (
        "Every head is pinned to its base by digest. A solid line was proven again on this server, a dashed one only "
        "by its publisher; grey arcs lead to the parent.",
        "每个分类头都按摘要固定到基座。实线表示本服务器重新验证过，虚线表示仅由发布者验证；灰色弧线指向父版本。",
    ),
    "releases": ("Releases", "版本"),
    "proofs": ("Proofs: heads × bases", "验证矩阵：分类头 × 基座"),
    "proofs_note": (
        "Accuracy on the golden batch, run through the actual base and head files.",
        "用真实的基座与分类头文件运行黄金批次得到的准确率。",
    ),
    "outcomes": ("Outcomes", "设备结果"),
    "audit": ("Audit", "审计"),
    "decisions": ("Decisions", "决定"),
    "bases": ("Bases", "基座"),
    "heads": ("Heads", "分类头"),
    "reports": ("Reports", "上报"),
    "running": ("running", "进行中"),
    "held": ("held", "暂停"),
    "halted": ("halted", "已停止"),
    "complete": ("complete", "完成"),
    "yanked": ("yanked", "已撤下"),
    "live": ("live", "有效"),
    "revoked": ("revoked", "已撤销"),
    "registered": ("not yet signed", "尚未签名"),
    "unlisted": ("history", "历史"),
    "installed": ("installed", "已安装"),
    "confirmed": ("confirmed", "已确认"),
    "rolled_back": ("rolled back", "已回滚"),
    "refused": ("refused", "拒绝"),
    "personalised": ("personalised", "已个性化"),
    "rebased": ("rebased", "已变基"),
    "recalled": ("recalled", "已召回"),
    "recalls": ("Recalls", "召回"),
    "stage": ("stage", "阶段"),
    "of_devices": ("of devices", "的设备"),
    "epoch": ("epoch", "纪元"),
    "polls_every": ("devices poll every", "设备轮询间隔"),
    "release": ("Release", "版本"),
    "state": ("State", "状态"),
    "size": ("Size", "大小"),
    "labels": ("Labels", "标签"),
    "digest": ("Digest", "摘要"),
    "parent": ("Parent", "父版本"),
    "examined": ("Examined", "检查"),
    "when": ("When (UTC)", "时间（UTC）"),
    "who": ("Who", "操作者"),
    "what": ("What", "操作"),
    "subject": ("Subject", "对象"),
    "decision": ("Decision", "决定"),
    "why": ("Why", "原因"),
    "numbers": ("Numbers it rests on", "依据"),
    "channel": ("Channel", "通道"),
    "kind": ("Kind", "类型"),
    "detail": ("Detail", "详情"),
    "count": ("Count", "数量"),
    "here": ("proven again here", "已在此重新验证"),
    "publisher_only": ("publisher's proof", "发布者的验证"),
    "none_yet": ("Nothing yet.", "暂无。"),
    "all_decisions": ("all decisions", "全部决定"),
    "failure_bound": ("failure rate, 95 % bounds", "失败率（95% 界）"),
    "timestamp": ("Timestamp", "时间戳"),
    "back": ("back to", "返回"),
}


def text(key: str, language: str) -> str:
    """The word for ``key``; an unknown key (a new kind or state) speaks for itself."""
    pair = TEXTS.get(key)
    return key.replace("_", " ") if pair is None else pair[LANGUAGES.index(language)]
