import TuttiSystem

/// The table of ranks as it travels, to every rank of a job: the only thing there whose size grows with the number of ranks.
///
/// What ranks have in common is in it once, and a row of 34 bytes for each rank. Decoded records share the memory of what
/// they have in common.
///
///   number of commons 4, each common as ``MemberRecord/encodeCommon(into:)`` has it,
///   number of ranks 4, for each its common 4 and ``MemberRecord/encodeOwn(into:)`` 30
enum MemberTable {
  static let rowBytes = 4 + MemberRecord.ownBytes

  static func encode(_ members: [MemberRecord], into encoder: inout WireEncoder) {
    var numbers: [[UInt8]: UInt32] = [:]
    var commons = WireEncoder()
    var rows = WireEncoder()
    for member in members {
      var common = WireEncoder()
      member.encodeCommon(into: &common)
      let number = numbers[common.bytes] ?? UInt32(numbers.count)
      if numbers.updateValue(number, forKey: common.bytes) == nil { commons.put(raw: common.bytes) }
      rows.put(number)
      member.encodeOwn(into: &rows)
    }
    encoder.put(UInt32(numbers.count))
    encoder.put(raw: commons.bytes)
    encoder.put(UInt32(members.count))
    encoder.put(raw: rows.bytes)
  }

  /// Decodes the members, by rank.
  static func decode(from decoder: inout WireDecoder) throws(MalformedMessage) -> [MemberRecord] {
    var commons: [MemberRecord] = []
    // As many as the frame has room for: its size is what is bounded.
    for _ in 0..<(try decoder.takeCount(max: decoder.remaining, "commons")) {
      commons.append(try MemberRecord(commonFrom: &decoder))
    }
    let count = try decoder.takeCount(max: decoder.remaining / rowBytes, "members")
    var members: [MemberRecord] = []
    members.reserveCapacity(count)
    for rank in 0..<count {
      let number = Int(try decoder.take(UInt32.self, "common"))
      guard number < commons.count else { throw MalformedMessage("common") }
      var member = commons[number]
      member.take(try MemberRecord.Own(from: &decoder), rank: rank)
      members.append(member)
    }
    return members
  }
}
