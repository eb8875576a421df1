import HeadwayContract

/// The JSON of the parts of a record; each pair of members is an inverse.

extension JSONValue {
    static func orNull(_ value: JSONValue?) -> JSONValue { value ?? .null }
}

extension Digest {
    var json: JSONValue { .text(text) }
}

extension Identity {
    init(_ fields: Fields) throws(HeadwayError) {
        self.init(
            app: try fields.text("app"), channel: try fields.text("channel"), name: try fields.text("name"),
            installID: try fields.text("install_id")
        )
    }

    var json: JSONValue {
        .object([
            "app": .text(app), "channel": .text(channel), "name": .text(name), "install_id": .text(installID),
        ])
    }
}

extension Host {
    init(_ fields: Fields) throws(HeadwayError) {
        self.init(base: try fields.digest("base"), osBuild: try fields.text("os_build"))
    }

    var json: JSONValue { .object(["base": base.json, "os_build": .text(osBuild)]) }
}

extension HeldRelease {
    /// Reads a release in a slot; throws `malformed`.
    public init(_ fields: Fields) throws(HeadwayError) {
        self.init(
            release: try fields.integer("release"), head: try fields.digest("head"), base: try fields.digest("base"),
            manifest: try fields.digest("manifest"), labels: try fields.digest("labels"),
            rebase: try fields.choice("rebase")
        )
    }

    /// The JSON object; inverse of reading.
    public var json: JSONValue {
        .object([
            "release": .integer(release), "head": head.json, "base": base.json, "manifest": manifest.json,
            "labels": labels.json, "rebase": .text(rebase.rawValue),
        ])
    }
}

extension Generation {
    /// Reads a generation; throws `malformed`.
    public init(_ fields: Fields) throws(HeadwayError) {
        self.init(
            number: try fields.integer("number"), head: try fields.digest("head"), base: try fields.digest("base"),
            on: try fields.digest("on"), derivedFrom: try fields.digest("derived_from"),
            policy: try fields.text("policy"), samples: try fields.integer("samples"),
            steps: try fields.integer("steps"), deltaMicro: try fields.integer("delta_micro")
        )
    }

    /// The JSON object; inverse of reading.
    public var json: JSONValue {
        .object([
            "number": .integer(number), "head": head.json, "base": base.json, "on": on.json,
            "derived_from": derivedFrom.json, "policy": .text(policy), "samples": .integer(samples),
            "steps": .integer(steps), "delta_micro": .integer(deltaMicro),
        ])
    }
}

extension Attempts {
    init(_ fields: Fields) throws(HeadwayError) {
        self.init(head: try fields.digest("head"), left: try fields.integer("left"))
    }

    var json: JSONValue { .object(["head": head.json, "left": .integer(left)]) }
}

extension Quarantine {
    init(_ fields: Fields) throws(HeadwayError) {
        self.init(
            head: try fields.digest("head"), base: try fields.digest("base"), osBuild: try fields.text("os_build"),
            untilS: try fields.integer("until_s")
        )
    }

    var json: JSONValue {
        .object(["head": head.json, "base": base.json, "os_build": .text(osBuild), "until_s": .integer(untilS)])
    }
}

extension Floor {
    init(_ fields: Fields) throws(HeadwayError) {
        self.init(base: try fields.digest("base"), release: try fields.integer("release"), head: try fields.digest("head"))
    }

    var json: JSONValue { .object(["base": base.json, "release": .integer(release), "head": head.json]) }
}
