import Glibc

/// The process of rank 1, a child of this one; rank 0 is this process.
struct SecondRank {
  private let pid: pid_t
  /// What rank 0 joins with: the same job, another rank.
  let firstRankEnvironment: [String: String]

  /// Starts this program once more as rank 1 of a job made for the occasion.
  static func start() throws -> SecondRank {
    let job = [
      "TUTTI_SIZE": "2", "TUTTI_RENDEZVOUS": "unix:@tutti-\(try randomHex(bytes: 16))",
      "TUTTI_SECRET": try randomHex(bytes: 32),
    ]
    // What a launcher may have left in the environment must not contradict the job.
    let others: Set = ["TUTTI_SECRET_FILE", "RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"]
    var inherited: [String: String] = [:]
    var cursor = environ
    while let entry = cursor.pointee {
      let pair = String(cString: entry).split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(
        String.init)
      if pair.count == 2 && !others.contains(pair[0]) { inherited[pair[0]] = pair[1] }
      cursor += 1
    }
    func environment(rank: Int) -> [String: String] {
      inherited.merging(job) { $1 }.merging(["TUTTI_RANK": "\(rank)"]) { $1 }
    }
    var pid: pid_t = 0
    let code = withCStrings(CommandLine.arguments) { arguments in
      withCStrings(environment(rank: 1).map { "\($0)=\($1)" }) { variables in
        posix_spawn(&pid, "/proc/self/exe", nil, nil, arguments, variables)
      }
    }
    guard code == 0 else { throw Failure("could not start rank 1: \(String(cString: strerror(code)))") }
    return SecondRank(pid: pid, firstRankEnvironment: environment(rank: 0))
  }

  /// Waits until rank 1 has ended: its last operation is rank 0's last, so that is at once, or it has an error to report.
  ///
  /// - Returns: The exit status to end with.
  func waitForEnd() throws -> Int32 {
    var status: Int32 = 0
    while waitpid(pid, &status, 0) < 0 {
      guard errno == EINTR else { throw Failure("waitpid: \(String(cString: strerror(errno)))") }
    }
    return status == 0 ? 0 : 1
  }

  func kill() {
    Glibc.kill(pid, SIGKILL)
    var status: Int32 = 0
    while waitpid(pid, &status, 0) < 0 && errno == EINTR {}
  }

  private static func randomHex(bytes: Int) throws -> String {
    var buffer = [UInt8](repeating: 0, count: bytes)
    guard getentropy(&buffer, bytes) == 0 else { throw Failure("getentropy: \(String(cString: strerror(errno)))") }
    return buffer.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
  }
}

/// Calls `body` with a null-ended array of C strings, which live until it returns.
private func withCStrings<Result>(
  _ strings: [String], _ body: (UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>) -> Result
) -> Result {
  var pointers: [UnsafeMutablePointer<CChar>?] = strings.map { strdup($0) } + [nil]
  defer { pointers.forEach { free($0) } }
  return pointers.withUnsafeMutableBufferPointer { body($0.baseAddress!) }
}
