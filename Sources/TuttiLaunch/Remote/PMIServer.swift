import TuttiSystem

/// Answers the PMI-1 of the ranks of one host: values that ranks leave for each other, and one barrier of all of them at a
/// time. This is what MPI's launchers speak, so that ranks meet here as they do there: rank 0 leaves its addresses.
///
/// Pure: it is given the bytes of ranks, and says what to answer them and what to tell the launcher.
struct PMIServer {
  /// What follows from a rank's words.
  enum Consequence: Equatable {
    case answer(rank: Int, String)
    case report(AgentReport)
    /// The rank's connection is to be closed, because it does not speak PMI-1.
    case close(rank: Int)
  }

  private static let lineBytesMax = 16_384
  private static let space = "tutti"

  private var partial: [Int: [UInt8]] = [:]
  private var values: [String: String] = [:]
  /// The ranks of this host that wait in the barrier.
  private var waiting: Set<Int> = []

  /// Takes what a rank has sent.
  mutating func receive(_ bytes: [UInt8], from rank: Int) -> [Consequence] {
    var text = (partial[rank] ?? []) + bytes
    var consequences: [Consequence] = []
    while let end = text.firstIndex(of: 0x0A) {
      consequences += line(String(decoding: text[..<end], as: UTF8.self), from: rank)
      text.removeFirst(end + 1)
    }
    if text.count > Self.lineBytesMax { consequences.append(.close(rank: rank)) }
    partial[rank] = text
    return consequences
  }

  /// Every rank of the job has entered the barrier, with these values.
  mutating func leaveBarrier(_ news: [String: String]) -> [Consequence] {
    values.merge(news) { $1 }
    defer { waiting = [] }
    return waiting.sorted().map { .answer(rank: $0, "cmd=barrier_out rc=0") }
  }

  private mutating func line(_ line: String, from rank: Int) -> [Consequence] {
    var words: [String: String] = [:]
    for word in line.split(separator: " ") {
      guard let sign = word.firstIndex(of: "=") else { continue }
      words[String(word[..<sign])] = String(word[word.index(after: sign)...])
    }
    func answer(_ text: String) -> [Consequence] { [.answer(rank: rank, "cmd=" + text)] }
    switch words["cmd"] {
    case "init": return answer("response_to_init pmi_version=1 pmi_subversion=1 rc=0")
    case "get_maxes": return answer("maxes kvsname_max=64 keylen_max=64 vallen_max=1024 rc=0")
    case "get_my_kvsname": return answer("my_kvsname kvsname=\(Self.space) rc=0")
    case "put":
      guard let key = words["key"], let value = words["value"] else { return answer("put_result rc=-1 msg=no_value") }
      values[key] = value
      return [.report(.put(key: key, value: value))] + answer("put_result rc=0 msg=success")
    case "get":
      guard let value = words["key"].flatMap({ values[$0] }) else { return answer("get_result rc=-1 msg=not_found") }
      return answer("get_result rc=0 msg=success value=\(value)")
    case "barrier_in":
      waiting.insert(rank)
      return [.report(.barrierIn(rank: rank))]
    case "finalize": return answer("finalize_ack rc=0")
    default: return [.close(rank: rank)]
    }
  }
}

/// The values and the barrier of the whole job, on the launcher's side.
struct PMISpace {
  private let rankCount: Int
  private var values: [String: String] = [:]
  private var entered: Set<Int> = []

  init(rankCount: Int) { self.rankCount = rankCount }

  mutating func put(_ value: String, for key: String) { values[key] = value }

  /// A rank enters the barrier. What everybody gets to know when it was the last; nil until then.
  mutating func enter(_ rank: Int) -> [String: String]? {
    entered.insert(rank)
    guard entered.count == rankCount else { return nil }
    entered = []
    return values
  }

  /// The ranks for which others wait in the barrier; none when nobody does.
  var missing: [Int] { entered.isEmpty ? [] : (0..<rankCount).filter { !entered.contains($0) } }
}
