/// Which paths may stand in a release, and the paths of Headway's own documents in signed metadata.

/// Most parts that a path may have.
public let maxPathDepth = 6

/// `path` if it is safe inside a release; throws `unsafe_path`.
///
/// Safe is: relative, `/` between parts, ASCII letters, digits, dot, dash and underscore, no part that starts with a
/// dot or dash (so no `..` and no hidden file), at most six parts.
public func checkPath(_ path: String) throws(HeadwayError) -> String {
    let parts = path.utf8.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
    guard parts.count <= maxPathDepth, parts.allSatisfy({ isSafePart(Array($0)) }) else {
        throw HeadwayError(
            .refused(.invalid),
            code: "unsafe_path",
            message: "The path '\(path.prefix(80))' is not allowed in a release.",
            hint: "Use relative ASCII names without '..', at most six folders deep, and publish again."
        )
    }
    return path
}

private func isSafePart(_ part: [UInt8]) -> Bool {
    guard (1...128).contains(part.count), part[0] != UInt8(ascii: "."), part[0] != UInt8(ascii: "-") else {
        return false
    }
    return part.allSatisfy { byte in
        switch byte {
        case 0x30...0x39, 0x41...0x5a, 0x61...0x7a: true
        case UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "-"): true
        default: false
        }
    }
}

/// Refuses two paths that one file system could fold together, or a file that is also a folder; throws `unsafe_path`.
public func checkFileSet(_ paths: [String]) throws(HeadwayError) {
    var files: Set<String> = []
    var folders: [String: String] = [:]
    for path in paths {
        guard files.insert(path.lowercased()).inserted else {
            throw clash(path, "stands twice in the release (letter case does not count)")
        }
        for folder in foldersAbove(path) where folders.updateValue(folder, forKey: folder.lowercased()) ?? folder != folder {
            throw clash(folder, "is spelled in two ways in the release")
        }
    }
    if let both = files.intersection(folders.keys).min() {
        throw clash(both, "is both a file and a folder in the release")
    }
}

private func foldersAbove(_ path: String) -> [String] {
    let parts = path.split(separator: "/", omittingEmptySubsequences: false)
    return (1..<max(parts.count, 1)).map { parts[..<$0].joined(separator: "/") }
}

private func clash(_ path: String, _ fault: String) -> HeadwayError {
    HeadwayError(
        .refused(.invalid),
        code: "unsafe_path",
        message: "The path '\(path.prefix(80))' \(fault).",
        hint: "Rename one of the two and publish again."
    )
}

/// Target path of a head's manifest in signed metadata.
public func headManifestPath(baseID: String, name: String, release: Int) -> String {
    "heads/\(baseID)/\(name)/\(release)/manifest.json"
}

/// Target path of a base's manifest in signed metadata.
public func baseManifestPath(baseID: String, version: String) -> String { "bases/\(baseID)/\(version)/manifest.json" }

/// Target path of a channel document in signed metadata.
public func channelPath(channel: String, baseID: String) -> String { "channels/\(channel)/\(baseID).json" }
