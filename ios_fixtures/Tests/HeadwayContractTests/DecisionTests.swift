import HeadwayContract
import Testing

/// The decisions: judge, rollout, explain; and errors as problems.
@Suite struct DecisionTests {
    private func host(_ value: JSONValue) throws -> HostProfile {
        let fields = try Fields(value, document: "host")
        return HostProfile(
            app: try fields.text("app"),
            base: try fields.digest("base"),
            contract: try fields.digest("contract"),
            os: try Version(parsing: try fields.text("os")),
            appBuild: try fields.integer("app_build")
        )
    }

    @Test func judgements() throws {
        for one in try cases("judge") {
            let verdict = judge(try HeadTarget(one["head"]), host: try host(one["host"]))
            #expect(verdict.reasons.map(\.rawValue) == one.texts("reasons"), "\(one)")
            #expect(verdict.reasons == verdict.reasons.sorted(), "\(one)")
            if case .compatible(let proof) = verdict { #expect(proof.text == one["proof"].text, "\(one)") }
        }
    }

    @Test func rollouts() throws {
        for one in try cases("rollout", "Bucket") {
            let found = bucket(salt: try one.text("salt"), installID: try one.text("install_id"))
            #expect(found == one["bucket"].integer, "\(one)")
        }
        for one in try cases("rollout", "Member") {
            let rollout = try Rollout(try Fields(one["rollout"], document: "rollout"))
            let isIn = inRollout(rollout, installID: try one.text("install_id"), groups: Set(one.texts("groups")))
            #expect(isIn == one["in"].bool, "\(one)")
        }
    }

    private func profile(_ value: JSONValue) throws -> DeviceProfile {
        let fields = try Fields(value, document: "profile")
        let host = try host(try #require(value.members?["host"]))
        var profile = DeviceProfile(host: host, installID: try fields.text("install_id"))
        profile.groups = Set(try fields.texts("groups"))
        profile.currentRelease = try fields.integer("current_release")
        profile.floorRelease = try fields.integer("floor_release")
        profile.floorHead = try fields.optional("floor_head", fields.digest)
        profile.quarantined = Set(try fields.items("quarantined").map { try digest($0) })
        profile.metadataExpired = try fields.boolean("metadata_expired")
        profile.clockBehind = try fields.boolean("clock_behind")
        return profile
    }

    @Test func choices() throws {
        for one in try cases("explain") {
            let channel = try ChannelDocument(data: try canonicalJSON(one["channel"]))
            let heads = try (one["heads"].items ?? []).map { try HeadTarget($0) }
            let choice = explain(try one.text("name"), profile: try profile(one["profile"]), channel: channel, heads: heads)
            let verdicts = choice.verdicts.map { verdict in
                JSONValue.object([
                    "release": .integer(verdict.release),
                    "head": .text(verdict.head.text),
                    "reasons": .list(verdict.reasons.map { .text($0.rawValue) }),
                ])
            }
            #expect(.list(verdicts) == one["verdicts"], "\(one)")
            #expect(choice.chosen?.release == one["chosen"].integer, "\(one)")
            #expect(choice.reasons.map(\.rawValue) == one.texts("reasons"), "\(one)")
            let off = orderedOff(channel: channel, heads: heads).map(\.text).sorted()
            #expect(off == one.texts("ordered_off"), "\(one)")
        }
    }
}

@Suite struct ProblemTests {
    private func error(_ value: JSONValue) throws -> HeadwayError {
        let fields = Case(file: "error", members: try #require(value.members))
        let kind = fields["kind"].text.flatMap(HeadwayError.RefusalKind.init(rawValue:))
        let families: [HeadwayError.Family] = [
            .untrusted, .incompatible, .transfer(retryAfterS: nil), .deviceStore, .refused(kind ?? .invalid),
        ]
        return HeadwayError(
            try #require(families.first { $0.name == fields["family"].text }),
            code: try fields.text("code"),
            message: try fields.text("message"),
            hint: try fields.text("hint"),
            data: try #require(fields["data"].members)
        )
    }

    private func described(_ error: HeadwayError) -> [JSONValue] {
        var kind = JSONValue.null
        if case .refused(let refusal) = error.family { kind = .text(refusal.rawValue) }
        return [.text(error.family.name), kind, .integer(Int(error.exitCode))]
    }

    private func described(_ value: JSONValue) -> [JSONValue] {
        ["family", "kind", "exit_code"].map { value.members?[$0] ?? .null }
    }

    @Test func thereAndBack() throws {
        for one in try cases("problems", "Problem") {
            let error = try error(one["error"])
            #expect(error.problem == one["problem"], "\(one)")
            #expect(Int(error.exitCode) == one["exit_code"].integer, "\(one)")
            let back = HeadwayError(status: error.status, body: error.problem)
            #expect(described(back) == described(one["back"]), "\(one)")
            #expect((back.code, back.message, back.hint) == (error.code, error.message, error.hint), "\(one)")
            #expect(back.data == error.data, "\(one)")
        }
    }

    @Test func anyAnswer() throws {
        for one in try cases("problems", "Answer") {
            let error = HeadwayError(status: try one.integer("status"), body: one["body"])
            #expect(described(error) == described(.object(one.members)), "\(one)")
            #expect(error.code == one["code"].text, "\(one)")
        }
    }
}
