import Foundation
import Testing

/// TLS as a user has it: what a stranger reads on the wire between two hosts, and what is refused.
@Suite(.serialized) struct EncryptionTests {
  /// Two hosts, of which the first has a wire tap on its cable while collbench runs; what the tap found.
  private func tapped(_ tls: Int, _ command: String) async throws -> (outcome: Outcome, wire: [String: Any]) {
    let report = FileManager.default.temporaryDirectory.appending(path: "wire-\(UUID().uuidString).json")
    defer { try? FileManager.default.removeItem(at: report) }
    let tap = Tool.root.appending(path: "Tests/WireTap/wire-tap").path
    let rank = """
      export TUTTI_TLS=\(tls)
      if [ $TUTTI_RANK = 0 ]; then
        \(tap) eth0 \(report.path) & tap=$!
        while ! grep -q '\\bpacket\\b\\|0003' /proc/$tap/net/packet 2>/dev/null; do sleep 0.05; done
        status=0; \(Tool.path) \(command) || status=$?
        kill $tap; wait $tap; exit $status
      fi
      exec \(Tool.path) \(command)
      """
    let script = Tool.root.appending(path: "Scripts/test-hosts").path
    let outcome = try await Running(script, ["2", "--", "bash", "-uc", rank]).outcome(limit: 60)
    let wire = try JSONSerialization.jsonObject(with: try Data(contentsOf: report)) as? [String: Any]
    return (outcome, try #require(wire))
  }

  private static let root = "needs root and network namespaces: run Scripts/test as root"

  @Test(.enabled(if: TestHosts.canRun, "\(EncryptionTests.root)"), arguments: [0, 1])
  func whatTheWireShows(_ tls: Int) async throws {
    let (outcome, wire) = try await tapped(tls, "all-reduce --sizes 8,1M --iterations 3 --format json")
    #expect(outcome.status == 0, "\(outcome.errors)")
    let object = try JSONSerialization.jsonObject(with: Data(outcome.output.utf8)) as? [String: Any]
    #expect((object?["configuration"] as? [String: Any])?["tls"] as? Bool == (tls == 1))
    // The meeting, the control connection and the data link.
    let connections = try #require(wire["connections"] as? Int)
    #expect(connections >= 3, "\(wire)")
    #expect(wire["encrypted"] as? Int == (tls == 1 ? connections : 0), "\(wire)")
    let zeros = try #require(wire["zeroShare"] as? Double)
    // The canary: without TLS the tap reads numbers, half of whose bytes are zero, and names.
    #expect(tls == 1 ? zeros < 1 : zeros > 10, "\(wire)")
    #expect(wire["settings"] as? Bool == (tls == 0), "\(wire)")
  }

  @Test(
    .enabled(if: TestHosts.canRun, "\(EncryptionTests.root)"),
    arguments: [
      "all-reduce", "reduce-scatter", "all-gather", "broadcast", "reduce", "gather", "scatter", "all-to-all", "barrier",
      "send-receive",
    ])
  func collectives(_ name: String) async throws {
    let sizes = name == "barrier" ? "" : " --sizes 64,300K"
    let script = Tool.root.appending(path: "Scripts/test-hosts").path
    let words = "2 --ranks-per-host 2 -- \(Tool.path) \(name)\(sizes) --tls --iterations 3 --format json"
    let outcome = try await Running(script, words.split(separator: " ").map(String.init)).outcome(limit: 60)
    #expect(outcome.status == 0, "\(outcome.errors)")
    for result in try results(outcome.output) {
      #expect(result["ranks"] as? Int == 4)
      // A barrier has no elements.
      if let wrong = result["wrongElements"] as? Int { #expect(wrong == 0) }
    }
  }

  @Test func missingLibraryIsNamed() async throws {
    let variables = ["TUTTI_TLS_LIBRARY": "/nonexistent/libssl.so.3"]
    let outcome = try await Tool.run("barrier --ranks 2 --tls --transport tcp", environment: variables)
    #expect(outcome.status == 1)
    #expect(outcome.errors.contains("TLS needs the library /nonexistent/libssl.so.3"), "\(outcome.errors)")
    #expect(outcome.errors.contains("cannot open shared object file"), "\(outcome.errors)")
    // Whoever does not ask for TLS does not need it.
    let plain = try await Tool.run("barrier --ranks 2 --transport tcp", environment: variables)
    #expect(plain.status == 0, "\(plain.errors)")
  }

  @Test(
    "what cannot be is refused before anything starts, or by every rank",
    arguments: [
      ("barrier --ranks 2 --tls --transport rdma", [:], "rdma is never encrypted: choose --transport shm, tcp or auto"),
      ("barrier --ranks 2 --tls --transport inprocess", [:], "nothing leaves the process"),
      ("barrier --ranks 2 --transport rdma", ["TUTTI_TLS": "1"], "rdma is never encrypted"),
      ("barrier --ranks 2 --tls", ["TUTTI_TLS": "0"], "is not what the program's own options have"),
      ("barrier --ranks 2", ["TUTTI_TLS": "yes"], "TUTTI_TLS=\"yes\" is neither 0 nor 1"),
      (
        "barrier --tls",
        [
          "TUTTI_RANK": "0", "TUTTI_SIZE": "2", "TUTTI_RENDEZVOUS": "127.0.0.1:1", "TUTTI_ALLOW_UNAUTHENTICATED": "1",
        ], "this job has no secret"
      ),
    ] as [(String, [String: String], String)])
  func refused(_ arguments: String, _ variables: [String: String], _ says: String) async throws {
    let outcome = try await Tool.run(arguments, environment: variables)
    #expect(outcome.status != 0)
    #expect(outcome.errors.contains(says), "\(outcome.errors)")
  }
}
