import Foundation
import HeadwayContract
import HeadwayTrust

/// The program `headway-tuf`: the client under test of the TUF community's conformance suite, in Swift.
///
/// It drives exactly the trust code that an app uses. Exit code 0 means that the whole command succeeded, 1 that any
/// part of it did not (with one sentence on standard error), 2 that the command line is wrong.
@main
struct HeadwayTUF {
    static func main() async {
        do {
            try await run(Options(Array(CommandLine.arguments.dropFirst())))
        } catch let error as HeadwayError {
            fail(error.diagnostics, error.code == "usage" ? 2 : 1)
        } catch {
            fail("\(error)", 1)
        }
    }

    private static func fail(_ message: String, _ code: Int32) -> Never {
        FileHandle.standardError.write(Data((message + "\n").utf8))
        exit(code)
    }

    private static func run(_ options: Options) async throws {
        let storage = FolderStorage(URL(fileURLWithPath: try options.value("metadata-dir")))
        switch options.command {
        case "init":
            let data = try Data(contentsOf: URL(fileURLWithPath: try options.operand()))
            try storage.writeAtomic("root.json", Array(data))
        case "refresh":
            var client = try client(options, storage)
            try await client.refresh()
        case "download":
            try await download(options, storage)
        default:
            throw usage("There is no command '\(options.command)'.")
        }
    }

    private static func client(_ options: Options, _ storage: FolderStorage) throws -> TrustedClient {
        let url = try options.value("metadata-url")
        guard canVerifySignatures else {
            throw refused("cannot_verify", "This build has no libcrypto.", "Install its headers and build again.")
        }
        guard let root = storage.read("root.json") else {
            throw refused("no_root", "There is no root.json in the metadata folder.", "Run `headway-tuf init` first.")
        }
        let now = Int(Date().timeIntervalSince1970)
        return try TrustedClient(metadataURL: url, bootstrap: root, nowS: now, fetcher: HTTPFetcher(), storage: storage)
    }

    private static func download(_ options: Options, _ storage: FolderStorage) async throws {
        var client = try client(options, storage)
        let name = try options.value("target-name")
        try await client.refresh()
        guard let target = try await client.target(name) else {
            let hint = "Check the name; it is case-sensitive and has no leading slash."
            throw refused("no_such_target", "No trusted role lists '\(name)'.", hint)
        }
        let folder = FolderStorage(URL(fileURLWithPath: try options.value("target-dir")))
        if let present = folder.read(quoted(name)), (try? target.check(present)) != nil { return }
        let url = try options.value("target-base-url")
        try folder.writeAtomic(quoted(name), await client.download(target, targetsURL: url, maxBytes: 512 << 20))
    }
}

/// `--name value` pairs, a command, and what it works on.
private struct Options {
    private var values: [String: String] = [:]
    private var operands: [String] = []

    init(_ arguments: [String]) throws {
        var rest = arguments[...]
        while let argument = rest.popFirst() {
            if argument.hasPrefix("--") {
                guard let value = rest.popFirst() else { throw usage("\(argument) needs a value.") }
                values[String(argument.dropFirst(2))] = value
            } else {
                operands.append(argument)
            }
        }
    }

    var command: String { operands.first ?? "" }

    func operand() throws -> String {
        guard operands.count == 2 else { throw usage("Give a file.") }
        return operands[1]
    }

    func value(_ name: String) throws -> String {
        guard let value = values[name] else { throw usage("--\(name) is missing.") }
        return value
    }
}

private func refused(_ code: String, _ message: String, _ hint: String) -> HeadwayError {
    HeadwayError(.refused(.invalid), code: code, message: message, hint: hint)
}

private func usage(_ message: String) -> HeadwayError {
    refused(
        "usage", message,
        "headway-tuf --metadata-dir D (init ROOT | --metadata-url U refresh | --metadata-url U --target-name N "
            + "--target-base-url T --target-dir X download)"
    )
}
