#if canImport(Darwin)
import Foundation
import HeadwayContract

/// A ``Fetcher`` over URLSession: a byte cap while receiving, and a deadline for the whole transfer.
///
/// The bytes are pulled one after the other, so that a server that never stops sending is held back by the network and
/// cannot fill the memory. On Linux, `SocketFetcher.swift` takes this place: URLSession there reads on regardless.
public struct HTTPFetcher: Fetcher {
    private let deadlineS: Double

    public init(deadlineS: Double = 60) { self.deadlineS = deadlineS }

    public func fetch(_ url: String, maxBytes: Int) async throws(HeadwayError) -> Fetched {
        guard let address = URL(string: url), ["http", "https"].contains(address.scheme ?? "") else {
            throw badURL(url, "starts with https://")
        }
        let configuration = URLSessionConfiguration.ephemeral
        configuration.timeoutIntervalForRequest = min(deadlineS, 20)
        configuration.timeoutIntervalForResource = deadlineS
        configuration.requestCachePolicy = .reloadIgnoringLocalCacheData
        let session = URLSession(configuration: configuration)
        defer { session.invalidateAndCancel() }
        do {
            let (stream, response) = try await session.bytes(from: address)
            var body: [UInt8] = []
            for try await byte in stream {
                guard body.count < maxBytes else { throw tooLarge(maxBytes) }
                body.append(byte)
            }
            return Fetched(status: (response as? HTTPURLResponse)?.statusCode ?? 0, body: body)
        } catch let error as HeadwayError {
            throw error
        } catch {
            throw unreachable("The registry cannot be reached.")
        }
    }
}
#endif
