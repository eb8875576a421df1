import HeadwayContract

/// The little of the protobuf wire format that a head's specification needs: finding fields, never writing them.

/// One field of a message, where it stands in the whole file.
struct ProtobufField: Equatable {
    let number: Int
    /// A varint's value; 0 for the other kinds.
    let value: UInt64
    /// What a length-delimited field holds; empty for the other kinds.
    let content: Range<Int>

    /// The fields of the message that `range` of `bytes` holds, in order. Any bytes give fields or one error.
    static func all(_ bytes: [UInt8], in range: Range<Int>) throws(HeadwayError) -> [ProtobufField] {
        var fields: [ProtobufField] = []
        var position = range.lowerBound
        while position < range.upperBound {
            let tag = try varint(bytes, &position, range.upperBound)
            guard tag >> 3 >= 1, tag >> 3 < 1 << 29 else { throw broken }
            let number = Int(tag >> 3)
            switch tag & 7 {
            case 0:
                let value = try varint(bytes, &position, range.upperBound)
                fields.append(ProtobufField(number: number, value: value, content: position..<position))
            case 1: try skip(8, number, &position, range.upperBound, &fields)
            case 2:
                let length = try varint(bytes, &position, range.upperBound)
                guard length <= UInt64(range.upperBound - position) else { throw broken }
                let content = position..<(position + Int(length))
                fields.append(ProtobufField(number: number, value: 0, content: content))
                position = content.upperBound
            case 5: try skip(4, number, &position, range.upperBound, &fields)
            default: throw broken
            }
        }
        return fields
    }

    private static func skip(
        _ size: Int, _ number: Int, _ position: inout Int, _ end: Int, _ fields: inout [ProtobufField]
    ) throws(HeadwayError) {
        guard end - position >= size else { throw broken }
        position += size
        fields.append(ProtobufField(number: number, value: 0, content: position..<position))
    }

    private static func varint(_ bytes: [UInt8], _ position: inout Int, _ end: Int) throws(HeadwayError) -> UInt64 {
        var value: UInt64 = 0
        for shift in stride(from: UInt64(0), to: 70, by: 7) {
            guard position < end else { throw broken }
            let byte = bytes[position]
            position += 1
            if shift == 63, byte > 1 { throw broken }
            value |= UInt64(byte & 0x7f) << shift
            if byte & 0x80 == 0 { return value }
        }
        throw broken
    }

    static var broken: HeadwayError {
        HeadwayError(
            .incompatible, code: "not_a_head", message: "The specification of the head cannot be read.",
            hint: "Keep the head before it; validate the head before publishing it again."
        )
    }
}
