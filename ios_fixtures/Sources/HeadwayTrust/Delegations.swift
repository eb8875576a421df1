import HeadwayContract

/// Whom a targets role lets speak for which paths: named roles, or hash bins that a rule names (TAP 15).
struct Delegations: Sendable {
    private let roles: [Delegation]
    let bins: HashBins?

    /// The section `delegations` of `fields`, empty where there is none; throws `malformed`.
    init(_ fields: Fields) throws(HeadwayError) {
        guard fields.has("delegations") else {
            (roles, bins) = ([], nil)
            return
        }
        let section = try fields.nested("delegations")
        let keys = try publicKeys(section)
        if section.has("succinct_roles") {
            (roles, bins) = ([], try HashBins(try section.nested("succinct_roles"), keys))
            return
        }
        roles = try section.objects("roles") { (role) throws(HeadwayError) in
            Delegation(
                name: try role.anyText("name"), keys: try roleKeys(role, keys),
                isTerminating: try role.boolean("terminating"), scope: try scope(role)
            )
        }
        bins = nil
        guard Set(roles.map(\.name)).count == roles.count else {
            throw section.wrong("roles", "a list of different roles")
        }
    }

    /// The roles that may speak for `path`, most trusted first. A bin is the only one that may, so it ends the search.
    func roles(for path: String) -> [(name: String, isTerminating: Bool)] {
        if let bins { return [(bins.role(for: path), true)] }
        return roles.filter { $0.covers(path) }.map { ($0.name, $0.isTerminating) }
    }

    /// The keys of `role`, or nil where it is not delegated here.
    func keys(of role: String) -> RoleKeys? {
        if let bins { return bins.contains(role) ? bins.keys : nil }
        return roles.first { $0.name == role }?.keys
    }
}

/// One delegated role: who speaks for which paths.
struct Delegation: Sendable {
    enum Scope: Sendable {
        case patterns([String])
        case hashPrefixes([String])
    }

    let name: String
    let keys: RoleKeys
    let isTerminating: Bool
    let scope: Scope

    /// Whether the role may speak for `path`.
    func covers(_ path: String) -> Bool {
        switch scope {
        case .patterns(let patterns): return patterns.contains { matches(path, pattern: $0) }
        case .hashPrefixes(let prefixes):
            let hash = digestOf(path.utf8).hex
            return prefixes.contains { hash.hasPrefix($0) }
        }
    }
}

/// `2 ** bits` roles under the same keys. Which one speaks for a path, the first bits of the path's SHA-256 say.
struct HashBins: Sendable {
    let keys: RoleKeys
    private let prefix: String
    private let bits: Int

    init(_ fields: Fields, _ all: [String: PublicKey]) throws(HeadwayError) {
        bits = try fields.integer("bit_length", low: 1, high: 32)
        prefix = try fields.anyText("name_prefix")
        keys = try roleKeys(fields, all)
    }

    var count: Int { 1 << bits }

    /// The one role that may speak for `path`.
    func role(for path: String) -> String {
        let first = bytes(hex: digestOf(path.utf8).hex)?.prefix(4).reduce(0) { $0 << 8 | Int($1) } ?? 0
        return name(first >> (32 - bits))
    }

    /// All roles. Ask for ``count`` first: it may be huge.
    var names: [String] { (0..<count).map(name) }

    func contains(_ role: String) -> Bool {
        guard role.hasPrefix(prefix + "-"), let number = Int(role.dropFirst(prefix.count + 1), radix: 16) else {
            return false
        }
        return (0..<count).contains(number) && name(number) == role
    }

    private func name(_ number: Int) -> String {
        let hex = String(number, radix: 16)
        return "\(prefix)-\(String(repeating: "0", count: max(0, (bits + 3) / 4 - hex.count)))\(hex)"
    }
}

private func scope(_ role: Fields) throws(HeadwayError) -> Delegation.Scope {
    if role.has("path_hash_prefixes") { return .hashPrefixes(try role.texts("path_hash_prefixes")) }
    return .patterns(try role.items("paths").compactMap(\.text))
}
