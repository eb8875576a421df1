import HeadwayContract
import HeadwayDevice
import Testing

@Suite struct DutyTests {
    private let nowS = 1_000_000

    private func cases(_ flag: String) throws -> [(comment: Testing.Comment, members: [String: JSONValue])] {
        let chosen = try traces("device_duties").filter { $0["flags"] == .list([.text(flag)]) }
        #expect(!chosen.isEmpty)
        return chosen.map { ("\($0["comment"]?.text ?? "")", $0) }
    }

    private func number(_ value: JSONValue?) throws -> Double {
        let text = try #require(value?.text)
        return try #require(Double(text))
    }

    private func schedule(_ value: JSONValue?) throws -> Schedule {
        let parts = try #require(value?.items).compactMap(\.integer)
        return Schedule(nextS: parts[0], intervalS: parts[1], failures: parts[2])
    }

    @Test func health() throws {
        for (comment, one) in try cases("Health") {
            let members = try #require(one["facts"]?.members)
            var facts = HealthFacts()
            facts.rows = try #require(members["rows"]?.integer)
            facts.finite = try #require(members["finite"]?.bool)
            facts.featureDeviation = try number(members["feature_deviation"])
            facts.probabilityDeviation = try number(members["probability_deviation"])
            facts.agreement = try number(members["agreement"])
            facts.headBytes = try #require(members["head_bytes"]?.integer)
            facts.latencyMS = try number(members["latency_ms"])
            facts.classes = try #require(members["classes"]?.items).compactMap(\.items).map { score in
                ClassScore(
                    label: try #require(score[0].text), rows: try #require(score[1].integer),
                    found: try #require(score[2].integer)
                )
            }
            #expect(judgeHealth(facts) == one["reason"]?.text, comment)
        }
    }

    @Test func polls() throws {
        for (comment, one) in try cases("Poll") {
            let (policy, chance) = (PollPolicy(), try number(one["chance"]))
            let found =
                switch one["call"]?.text {
                case "first": Schedule.first(policy, nowS: nowS, chance: chance)
                case "success":
                    Schedule.afterSuccess(policy, pollAfterS: one["poll_after_s"]?.integer, nowS: nowS, chance: chance)
                default:
                    try schedule(one["before"])
                        .afterFailure(policy, nowS: nowS, retryAfterS: one["retry_after_s"]?.integer, chance: chance)
                }
            #expect(try found == schedule(one["schedule"]), comment)
        }
        for (comment, one) in try cases("Due") {
            let now = try #require(one["now_s"]?.integer)
            #expect(try schedule(one["schedule"]).isDue(nowS: now) == one["due"]?.bool, comment)
        }
    }

    @Test func heavyWork() throws {
        for (comment, one) in try cases("Work") {
            let members = try #require(one["conditions"]?.members)
            var conditions = Conditions()
            conditions.idle = try #require(members["idle"]?.bool)
            conditions.charging = try #require(members["charging"]?.bool)
            conditions.thermal = try #require(members["thermal"]?.integer)
            let (samples, free) = (try #require(one["samples"]?.integer), try #require(one["free_bytes"]?.integer))
            let reason = HeavyWorkPolicy().whyNotTrain(conditions, samples: samples, freeBytes: free)
            #expect(reason == one["reason"]?.text, comment)
        }
    }
}
