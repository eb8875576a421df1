import HeadwayContract
import Testing

/// The forms of bytes: digests, canonical JSON, names, paths.
@Suite struct FormTests {
    @Test func digests() throws {
        for one in try cases("digests", "Hash") {
            let data = bytes(hex: try one.text("data_hex"))
            #expect(digestOf(data).text == one["digest"].text, "\(one)")
            let chunked = digestOfChunks([Array(data.prefix(5)), [], Array(data.dropFirst(5))])
            #expect(chunked.digest.text == one["digest"].text && chunked.size == data.count, "\(one)")
        }
        for one in try cases("digests", "Spelling") {
            let read = one.check { () throws(HeadwayError) in try Digest(parsing: one["value"]) }
            #expect(read.map { JSONValue.text($0.text) } == (one.isValid ? one["value"] : nil), "\(one)")
        }
    }

    @Test func canonicalForms() throws {
        for one in try cases("canonical_json") {
            let data = try one.data()
            guard one.check({ () throws(HeadwayError) in try decode(data, document: "document") }) != nil else {
                continue
            }
            let form = try canonical(try decodeAnyJSON(data, document: "document"))
            #expect(form == one["canonical"].text, "\(one)")
        }
    }

    @Test func treeDigests() throws {
        for one in try cases("tree_digest") {
            let files = try (one["files"].items ?? []).map { file in
                let file = Case(file: "file", members: file.members ?? [:])
                return (path: try file.text("path"), digest: try digest(file["digest"]), size: try file.integer("size"))
            }
            #expect(try treeDigest(files).text == one["digest"].text, "\(one)")
        }
    }

    @Test func names() throws {
        for one in try cases("names") {
            let text = one["value"].text
            let read = one.check { () throws(HeadwayError) -> JSONValue in
                if one.has("Name") { return .text(try parseName(text)) }
                if one.has("Release") { return .integer(try parseRelease(text)) }
                if one.has("Reference") { return described(try Reference(parsing: text ?? "")) }
                let version = try Version(parsing: text)
                return .list([version.major, version.minor, version.patch].map(JSONValue.integer))
            }
            #expect(read ?? .null == one["read"], "\(one)")
        }
    }

    private func described(_ reference: Reference) -> JSONValue {
        switch reference {
        case .release(let name, let number):
            .object(["kind": .text("release"), "name": .text(name), "release": .integer(number)])
        case .channel(let name, let channel):
            .object(["kind": .text("channel"), "name": .text(name), "channel": .text(channel)])
        case .digest(let digest):
            .object(["kind": .text("digest"), "digest": .text(digest.text)])
        }
    }

    @Test func paths() throws {
        for one in try cases("paths", "Safe", "Escape", "Form") {
            let path = try one.text("path")
            let read = one.check(code: "unsafe_path") { () throws(HeadwayError) in try checkPath(path) }
            #expect(read == (one.isValid ? path : nil), "\(one)")
        }
        for one in try cases("paths", "Set") {
            one.check(code: "unsafe_path") { () throws(HeadwayError) in try checkFileSet(one.texts("paths")) }
        }
    }
}

/// The documents: what reads, and that it writes the same canonical bytes.
@Suite struct DocumentTests {
    @Test func featureContracts() throws {
        for one in try cases("feature_contract") {
            let data = try one.data()
            guard let read = one.check({ () throws(HeadwayError) in try FeatureContract(data: data) }) else { continue }
            #expect(try canonical(read.json) == one["canonical"].text, "\(one)")
            #expect(try read.digest().text == one["digest"].text, "\(one)")
            #expect(read.dimension == one["dimension"].integer, "\(one)")
        }
    }

    @Test func manifests() throws {
        for one in try cases("manifest") {
            let data = try one.data()
            guard let read = one.check({ () throws(HeadwayError) in try Manifest(data: data) }) else { continue }
            #expect(try canonical(read.json) == one["canonical"].text, "\(one)")
            #expect(try read.digest().text == one["digest"].text, "\(one)")
            #expect(read.totalBytes == one["total_bytes"].integer, "\(one)")
            for package in (one["packages"].items ?? []).compactMap(\.members) {
                let folder = try #require(package["folder"]?.text)
                let valid: [String: JSONValue] = ["valid": .bool(package["digest"]?.text != nil)]
                let found = Case(file: "\(one): \(folder)", members: valid)
                    .check(code: "missing_file") { () throws(HeadwayError) in try read.packageDigest(folder) }
                #expect(found?.text == package["digest"]?.text, "\(one): \(folder)")
            }
        }
    }

    @Test func targets() throws {
        for one in try cases("targets") {
            let json = one.check { () throws(HeadwayError) in
                one["kind"].text == "head" ? try HeadTarget(one["custom"]).json : try BaseTarget(one["custom"]).json
            }
            #expect(try json.map(canonical) == one["canonical"].text, "\(one)")
        }
    }

    @Test func channels() throws {
        for one in try cases("channel") {
            let data = try one.data()
            guard let read = one.check({ () throws(HeadwayError) in try ChannelDocument(data: data) }) else { continue }
            #expect(try canonical(read.json) == one["canonical"].text, "\(one)")
            for (name, directive) in one["directives"].members ?? [:] {
                #expect(read.directive(for: name).rawValue == directive.text, "\(one): \(name)")
            }
            #expect(Set(read.recalled.map(\.text)) == Set(one.texts("recalled")), "\(one)")
        }
    }

    @Test func proofs() throws {
        for one in try cases("proof") {
            let data = try one.data()
            guard let read = one.check({ () throws(HeadwayError) in try Proof(data: data) }) else { continue }
            #expect(try canonical(read.json) == one["canonical"].text, "\(one)")
            #expect(try read.digest().text == one["digest"].text, "\(one)")
            #expect(assess(read) == one.texts("reasons"), "\(one)")
        }
    }

    @Test func outcomes() throws {
        for one in try cases("outcome", "Good", "Private", "Fields") {
            let read = one.check { () throws(HeadwayError) in try Outcome(one["outcome"]) }
            #expect(try read.map { try canonical($0.json) } == one["canonical"].text, "\(one)")
        }
        for one in try cases("outcome", "Gain") {
            let points = try #require(Double(try one.text("points")))
            #expect(Gain(points: points).rawValue == one["gain"].text, "\(one)")
        }
    }
}
