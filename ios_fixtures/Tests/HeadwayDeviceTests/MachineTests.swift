import Foundation
import HeadwayContract
import HeadwayDevice
import Testing

@Suite struct MachineTests {
    /// Histories that the Python machine lived through: the same effects, phase and record after every event.
    @Test func histories() throws {
        for one in try traces("device_traces") {
            let comment = one["comment"]?.text ?? ""
            var rules = Rules()
            rules.explicitConfirm = one["explicit_confirm"]?.bool ?? false
            var state = try Record.state(from: try Fields(one["initial"], document: "record"))
            for (index, step) in try #require(one["steps"]?.items).compactMap(\.members).enumerated() {
                let event = try Event(try #require(step["event"]))
                let (new, effects) = advance(state, event, rules: rules)
                let record = try canonicalJSON(Record.json(of: new.durable))
                let what: Testing.Comment = "\(comment), step \(index): \(event)"
                #expect(.list(effects.map(\.json)) == step["effects"], what)
                #expect(new.phase.rawValue == step["phase"]?.integer, what)
                #expect(digestOf(record).text == step["record"]?.text, what)
                #expect((effects.first == .save) == (new.durable != state.durable), what)
                if index.isMultiple(of: 8) { #expect(try Record.read(try Record.bytes(of: new)) == new.durable, what) }
                state = new
            }
        }
    }

    private func someState() throws -> DeviceState {
        try Record.state(from: try Fields(try #require(traces("device_traces").first)["initial"], document: "record"))
    }

    @Test func aDamagedRecordIsUnreadable() throws {
        let good = try Record.bytes(of: try someState())
        for damaged in [[], Array("\n".utf8), Array(good.dropLast(9)), [0x20] + good, good.map { $0 == 0x35 ? 0x36 : $0 }] {
            #expect(throws: HeadwayError.self) { try Record.read(damaged) }
        }
    }

    /// Rule 10: anything unknown rolls back, and keeps what was confirmed.
    @Test func anUnknownPhaseRollsBack() throws {
        var state = try someState()
        (state.stable, state.staged, state.trial) = (state.embedded, state.embedded, state.embedded)
        for activity in [4, 5, 99] {
            var members = try #require(Record.json(of: state).members)
            members["activity"] = .integer(activity)
            let read = try Record.state(from: try Fields(.object(members), document: "record"))
            #expect(read.stable == state.stable && read.staged == nil && read.trial == nil && read.activity == .idle)
        }
    }
}

/// The cases of a trace file, found beside the package by `#filePath`.
func traces(_ name: String) throws -> [[String: JSONValue]] {
    let package = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()
    let data = try Data(contentsOf: package.appendingPathComponent("vectors/\(name).json"))
    return try #require(try decodeAnyJSON(Array(data), document: name).members?["cases"]?.items).compactMap(\.members)
}
