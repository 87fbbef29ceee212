import TuttiSystem

/// What a rank tells rank 0 when it joins.
struct JoinRequest: Hashable, Sendable {
  var rankCount: Int
  var member: MemberRecord
  /// Settings that must be equal on all ranks.
  var settings: [String: String]
  /// Milliseconds this rank is still willing to wait.
  var patienceMilliseconds: UInt32

  static let settingsMax = 64
  static let settingBytesMax = 256

  func encode(into encoder: inout WireEncoder) {
    encoder.put(UInt32(rankCount))
    encoder.put(patienceMilliseconds)
    member.encode(into: &encoder)
    encoder.put(UInt32(settings.count))
    for (name, value) in settings.sorted(by: { $0.key < $1.key }) {
      encoder.put(name, bytesMax: Self.settingBytesMax)
      encoder.put(value, bytesMax: Self.settingBytesMax)
    }
  }

  init(rankCount: Int, member: MemberRecord, settings: [String: String], patienceMilliseconds: UInt32) {
    self.rankCount = rankCount
    self.member = member
    self.settings = settings
    self.patienceMilliseconds = patienceMilliseconds
  }

  init(from decoder: inout WireDecoder) throws(MalformedMessage) {
    rankCount = try decoder.takeCount(max: Int(Int32.max), "rank count")
    patienceMilliseconds = try decoder.take("patience")
    member = try MemberRecord(from: &decoder)
    settings = [:]
    for _ in 0..<(try decoder.takeCount(max: Self.settingsMax, "settings")) {
      let name = try decoder.takeText(bytesMax: Self.settingBytesMax, "setting")
      settings[name] = try decoder.takeText(bytesMax: Self.settingBytesMax, "setting")
    }
  }
}

/// A message between rank 0 and the others until the join is complete, one in each frame.
enum RendezvousMessage {
  /// To rank 0: who I am.
  case request(JoinRequest)
  /// To rank 0: my control connections stand.
  case attached
  /// To rank 0: I cannot go on; tell everyone.
  case failed(FailureReport)
  /// From rank 0: everyone is here, and this rank is your parent in the control tree, which tells you who the others are.
  /// It comes without its note.
  case parent(CommunicatorID, MemberRecord)
  /// From the parent in the control tree: all ranks. It goes down the tree, so that no rank sends it more than twice.
  case table([MemberRecord])
  /// From rank 0: this job does not come together.
  case refusal(FailureReport)
  /// From rank 0: all are attached.
  case begin

  /// The largest frame rank 0 accepts: a request of which every part is as large as it may be fits.
  static let requestBytesMax = 256 << 10
  /// The largest frame that a parent sends: a table of 65,536 ranks, each with as many addresses and rails as it may have.
  static let tableBytesMax = 256 << 20

  var bytes: [UInt8] {
    var encoder = WireEncoder()
    switch self {
    case .request(let request):
      encoder.put(UInt8(1))
      request.encode(into: &encoder)
    case .attached:
      encoder.put(UInt8(2))
    case .failed(let report):
      encoder.put(UInt8(3))
      report.encode(into: &encoder)
    case .parent(let communicator, let member):
      encoder.put(UInt8(7))
      communicator.encode(into: &encoder)
      member.encode(into: &encoder)
    case .table(let members):
      encoder.put(UInt8(4))
      MemberTable.encode(members, into: &encoder)
    case .refusal(let report):
      encoder.put(UInt8(5))
      report.encode(into: &encoder)
    case .begin:
      encoder.put(UInt8(6))
    }
    return encoder.bytes
  }

  init(_ bytes: [UInt8]) throws(MalformedMessage) {
    var decoder = WireDecoder(bytes)
    switch try decoder.take(UInt8.self, "kind") {
    case 1:
      self = .request(try JoinRequest(from: &decoder))
    case 2:
      self = .attached
    case 3:
      self = .failed(try FailureReport.decode(from: &decoder))
    case 4:
      self = .table(try MemberTable.decode(from: &decoder))
    case 5:
      self = .refusal(try FailureReport.decode(from: &decoder))
    case 6:
      self = .begin
    case 7:
      let communicator = try CommunicatorID(from: &decoder)
      self = .parent(communicator, try MemberRecord(from: &decoder))
    default:
      throw MalformedMessage("kind")
    }
    try decoder.finish("a rendezvous message")
  }
}
