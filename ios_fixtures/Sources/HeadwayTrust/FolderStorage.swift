import Foundation
import HeadwayContract

/// A ``MetadataStorage`` in one folder. A temp file left by a kill is overwritten by the next write, and never read.
public struct FolderStorage: MetadataStorage {
    private let folder: URL

    public init(_ folder: URL) { self.folder = folder }

    public func read(_ name: String) -> [UInt8]? {
        (try? Data(contentsOf: folder.appendingPathComponent(name))).map(Array.init)
    }

    public func writeAtomic(_ name: String, _ data: [UInt8]) throws(HeadwayError) {
        let path = folder.appendingPathComponent(name)
        let temporary = path.appendingPathExtension("tmp")
        do {
            let parent = path.deletingLastPathComponent()
            try FileManager.default.createDirectory(at: parent, withIntermediateDirectories: true)
            try Data(data).write(to: temporary)
            try sync(temporary)
            guard rename(temporary.path, path.path) == 0 else { throw CocoaError(.fileWriteUnknown) }
            try sync(parent)
        } catch {
            throw HeadwayError(
                .deviceStore, code: "metadata_store", message: "Cannot write \(name).",
                hint: "Free some space or repair the folder; the old metadata is still there."
            )
        }
    }

    private func sync(_ path: URL) throws {
        let descriptor = open(path.path, O_RDONLY)
        guard descriptor >= 0 else { throw CocoaError(.fileReadUnknown) }
        defer { close(descriptor) }
        guard fsync(descriptor) == 0 else { throw CocoaError(.fileWriteUnknown) }
    }
}
