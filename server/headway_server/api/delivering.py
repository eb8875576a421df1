"""The release manager's half of the API: channels, offers, recalls, rollouts."""

from __future__ import annotations

from flask import Response
from flask_openapi.blueprint import APIBlueprint
from flask_openapi.models.tag import Tag

from headway.contract.digests import parse_digest
from headway.contract.errors import RefusedError
from headway.contract.parsing import Fields
from headway_server.api import schemas as s
from headway_server.api.http import answer, authenticate, caller, ports
from headway_server.api.render import decision_json, rollout_json
from headway_server.delivery import channels, preview, reports, rollouts, withdrawal
from headway_server.delivery.channels import ChannelKey
from headway_server.delivery.decide import Policy, Stage

api = APIBlueprint(
    "delivering", __name__, url_prefix="/v1", abp_tags=[Tag(name="delivering")], abp_security=[{"token": []}]
)
api.before_request(authenticate)


def _key(path: s.ChannelPath) -> ChannelKey:
    return ChannelKey(path.app, path.channel, path.base_id)


@api.get("/apps/<app>/channels/<channel>/<base_id>")
def get_channel(path: s.ChannelPath) -> Response:
    """What a channel says now: the content of its signed document."""
    caller("read", path.app)
    return answer(channels.current(ports(), _key(path)).to_json())


@api.get("/apps/<app>/channels/<channel>/<base_id>/history")
def get_history(path: s.ChannelPath, query: s.WhenQuery) -> Response:
    """Everything a channel ever said, oldest first; with ``at``, only what it said at that time."""
    caller("read", path.app)
    said = channels.history(ports(), _key(path))
    if query.at is not None:
        said = tuple(pair for pair in said if pair[0] <= query.at)[-1:]
    return answer({"history": [{"signed_at": at, "document": document.to_json()} for at, document in said]})


@api.post("/apps/<app>/channels/<channel>/<base_id>/preview/<name>")
def post_preview(path: s.ChannelHeadPath, body: s.PreviewBody) -> Response:
    """Which release would each of these device profiles hold, and why not another? Nothing of it is kept."""
    caller("read", path.app)
    return answer({"choices": list(preview.preview(ports(), _key(path), path.name, body.profiles))})


@api.put("/apps/<app>/channels/<channel>/<base_id>")
def put_channel(path: s.ChannelPath, body: s.PollBody) -> Response:
    """Set how often devices of the channel poll."""
    actor = caller("release", path.app)
    channels.set_poll_interval(ports(), actor, _key(path), body.poll_after_s)
    return answer(channels.current(ports(), _key(path)).to_json())


@api.put("/apps/<app>/channels/<channel>/<base_id>/offers/<name>")
def put_offer(path: s.ChannelHeadPath, body: s.OfferBody) -> Response:
    """Offer a release on a channel, in stages if it has a schedule."""
    actor = caller("release", path.app)
    stages = tuple(Stage(stage.permyriad, stage.soak_s, stage.min_confirmed) for stage in body.schedule)
    share = body.permyriad if body.permyriad is not None else stages[0].permyriad if stages else None
    if share is None:
        raise RefusedError(
            "bad_schedule", "The offer says to nobody.", hint="Give permyriad (of 10,000 devices) or a schedule."
        )
    request = rollouts.OfferRequest(
        name=path.name,
        release=body.release,
        permyriad=share,
        salt=body.salt,
        pins=tuple(body.pins),
        excludes=tuple(body.excludes),
        stages=stages,
        policy=Policy.from_json(Fields(body.policy, "rollout policy")),
    )
    record, new = rollouts.offer(ports(), actor, _key(path), request)
    return answer(rollout_json(record), 201 if new else 200)


@api.delete("/apps/<app>/channels/<channel>/<base_id>/offers/<name>/<int:release>")
def delete_offer(path: s.OfferPath) -> Response:
    """Yank: stop offering a release; devices that have it keep it."""
    actor = caller("release", path.app)
    return answer(rollout_json(rollouts.yank(ports(), actor, _key(path), path.name, path.release)))


@api.post("/apps/<app>/channels/<channel>/<base_id>/recalls")
def post_recall(path: s.ChannelPath, body: s.RecallBody) -> Response:
    """Order devices off a head."""
    actor = caller("release", path.app)
    new = withdrawal.recall(ports(), actor, _key(path), parse_digest(body.digest), body.reason)
    return answer({"digest": body.digest, "new": new}, 201 if new else 200)


@api.put("/apps/<app>/channels/<channel>/<base_id>/personalise/<name>")
def put_personalise(path: s.ChannelHeadPath, body: s.PersonaliseBody) -> Response:
    """Say whether devices may train a head: allow, hold or discard."""
    actor = caller("release", path.app)
    channels.personalise(ports(), actor, _key(path), path.name, body.directive)
    return answer({"name": path.name, "directive": body.directive})


@api.get("/apps/<app>/rollouts")
def list_rollouts(path: s.AppPath) -> Response:
    """All rollouts with what devices reported of them."""
    caller("read", path.app)
    listed = reports.listed(ports(), path.app)
    return answer({"rollouts": [{**rollout_json(item.rollout), "counts": item.counts} for item in listed]})


@api.get("/apps/<app>/rollouts/<rollout>")
def get_rollout(path: s.RolloutPath) -> Response:
    """One rollout with what devices reported of it."""
    caller("read", path.app)
    item = reports.one(ports(), path.app, path.rollout)
    return answer({**rollout_json(item.rollout), "counts": item.counts})


@api.get("/apps/<app>/rollouts/<rollout>/decisions")
def list_decisions(path: s.RolloutPath) -> Response:
    """Every decision about a rollout, oldest first, each with all its inputs."""
    caller("read", path.app)
    listed = reports.decisions(ports(), path.app, path.rollout)
    return answer({"decisions": [decision_json(record) for record in listed]})


@api.post("/apps/<app>/rollouts/<rollout>/tick")
def tick(path: s.RolloutPath) -> Response:
    """Decide about a rollout now."""
    actor = caller("release", path.app)
    record, decision = rollouts.tick(ports(), actor, path.app, path.rollout)
    value = {"action": decision.action, "reason": decision.reason, "inputs": decision.inputs}
    return answer({"decision": value, "rollout": rollout_json(record)})


@api.post("/apps/<app>/rollouts/<rollout>/advance")
def advance(path: s.RolloutPath) -> Response:
    """Go on to the next stage, or resume a held rollout."""
    return _command(path, "advance")


@api.post("/apps/<app>/rollouts/<rollout>/hold")
def hold(path: s.RolloutPath) -> Response:
    """Offer it to nobody new; who has it keeps it."""
    return _command(path, "hold")


@api.post("/apps/<app>/rollouts/<rollout>/halt")
def halt(path: s.RolloutPath) -> Response:
    """Stop it for good."""
    return _command(path, "halt")


def _command(path: s.RolloutPath, action: str) -> Response:
    actor = caller("release", path.app)
    return answer(rollout_json(rollouts.command(ports(), actor, path.app, path.rollout, action)))


@api.get("/apps/<app>/outcomes")
def get_outcomes(path: s.AppPath) -> Response:
    """Counts of what devices reported, by channel, release, kind and reason."""
    caller("read", path.app)
    names = ("channel", "name", "release", "kind", "detail", "count")
    return answer({"outcomes": [dict(zip(names, row, strict=True)) for row in reports.totals(ports(), path.app)]})
