#if canImport(Glibc)
import Foundation
import Glibc
import HeadwayContract

/// A ``Fetcher`` over a plain socket, for tests and tools on Linux: HTTP/1.0, no TLS, no redirects.
///
/// Foundation's URLSession there reads ahead without bound (gigabytes from a server that never stops, measured), so a
/// byte cap in its delegate protects nothing. Here nothing is read that was not asked for.
public struct HTTPFetcher: Fetcher {
    private let deadlineS: Double

    public init(deadlineS: Double = 60) { self.deadlineS = deadlineS }

    public func fetch(_ url: String, maxBytes: Int) async throws(HeadwayError) -> Fetched {
        guard let parts = URLComponents(string: url), parts.scheme == "http", let host = parts.host else {
            throw badURL(url, "starts with http://")
        }
        let socket = try Socket(host: host, port: parts.port ?? 80, until: Date(timeIntervalSinceNow: deadlineS))
        let path = parts.percentEncodedPath.isEmpty ? "/" : parts.percentEncodedPath
        let query = parts.percentEncodedQuery.map { "?\($0)" } ?? ""
        let authority = parts.port.map { "\(host):\($0)" } ?? host
        try socket.send(Array("GET \(path)\(query) HTTP/1.0\r\nHost: \(authority)\r\nAccept: */*\r\n\r\n".utf8))
        return try response(socket, maxBytes: maxBytes)
    }

    private func response(_ socket: Socket, maxBytes: Int) throws(HeadwayError) -> Fetched {
        var received: [UInt8] = []
        var head: ArraySlice<UInt8>?
        while head == nil, received.count < 65_536, let chunk = try socket.receive() {
            received += chunk
            head = headOf(received)
        }
        guard let head, let status = statusOf(head) else { throw unreachable("The answer is no HTTP.") }
        var body = Array(received[(head.endIndex + 4)...])
        let length = lengthOf(head)
        while body.count <= maxBytes, body.count < length ?? .max, let chunk = try socket.receive() { body += chunk }
        guard body.count <= maxBytes else { throw tooLarge(maxBytes) }
        if let length, body.count != length { throw unreachable("The answer was cut off.") }
        return Fetched(status: status, body: body)
    }
}

/// What stands before the first empty line, or nil while that has not come.
private func headOf(_ bytes: [UInt8]) -> ArraySlice<UInt8>? {
    let end = Array("\r\n\r\n".utf8)
    return bytes.indices.first { bytes[$0...].starts(with: end) }.map { bytes[..<$0] }
}

private func statusOf(_ head: ArraySlice<UInt8>) -> Int? {
    let words = head.prefix { $0 != 0x0d }.split(separator: 0x20)
    guard words.count >= 2, words[0].starts(with: "HTTP/1.".utf8) else { return nil }
    return Int(String(decoding: words[1], as: UTF8.self))
}

private func lengthOf(_ head: ArraySlice<UInt8>) -> Int? {
    for line in String(decoding: head, as: UTF8.self).components(separatedBy: "\r\n") {
        let parts = line.split(separator: ":", maxSplits: 1)
        if parts.count == 2, parts[0].lowercased() == "content-length" {
            return Int(parts[1].trimmingCharacters(in: .whitespaces))
        }
    }
    return nil
}

/// A connected TCP socket with one deadline for everything; closed when it goes.
private final class Socket {
    private let descriptor: Int32
    private let deadline: Date

    init(host: String, port: Int, until deadline: Date) throws(HeadwayError) {
        var hints = addrinfo()
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        var found: UnsafeMutablePointer<addrinfo>?
        guard getaddrinfo(host, String(port), &hints, &found) == 0 else { throw unreachable("There is no host \(host).") }
        defer { freeaddrinfo(found) }
        var connected: Int32 = -1
        var next = found
        while connected < 0, let address = next?.pointee {
            connected = socket(address.ai_family, address.ai_socktype, address.ai_protocol)
            if connected >= 0, connect(connected, address.ai_addr, address.ai_addrlen) != 0 {
                close(connected)
                connected = -1
            }
            next = address.ai_next
        }
        guard connected >= 0 else { throw unreachable("\(host) does not answer.") }
        (descriptor, self.deadline) = (connected, deadline)
    }

    deinit { close(descriptor) }

    func send(_ bytes: [UInt8]) throws(HeadwayError) {
        var rest = bytes[...]
        while !rest.isEmpty {
            let sent = rest.withUnsafeBytes { Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
            guard sent > 0 else { throw unreachable("The connection broke.") }
            rest = rest.dropFirst(sent)
        }
    }

    /// At most 16 KiB more, or nil at the end.
    func receive() throws(HeadwayError) -> ArraySlice<UInt8>? {
        let left = deadline.timeIntervalSinceNow
        var waiting = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        guard left > 0, poll(&waiting, 1, Int32(left * 1000)) > 0 else { throw unreachable("The answer came too slowly.") }
        var buffer = [UInt8](repeating: 0, count: 16_384)
        let count = recv(descriptor, &buffer, buffer.count, 0)
        guard count >= 0 else { throw unreachable("The connection broke.") }
        return count == 0 ? nil : buffer[..<count]
    }
}
#endif
