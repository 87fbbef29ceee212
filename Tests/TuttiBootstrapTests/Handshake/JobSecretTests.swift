import TuttiSystem
import Glibc
import Testing

@testable import TuttiBootstrap

@Suite struct JobSecretTests {
  static func withFile(_ content: String, mode: mode_t, _ body: (String) throws -> Void) throws {
    let path = "/tmp/tutti-secret-\(getpid())-\(UInt64.random(in: 0 ... .max))"
    let descriptor = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0o600)
    try #require(descriptor >= 0)
    write(descriptor, content, content.utf8.count)
    fchmod(descriptor, mode)
    close(descriptor)
    defer { unlink(path) }
    try body(path)
  }

  func key(_ secret: JobSecret) -> [UInt8] { secret.handshakeKey(for: .meeting).authenticationCode(of: []) }

  @Test func readsVariableAndFileAlike() throws {
    let direct = try JobSecret.read(["TUTTI_SECRET": "hush hush"])
    try Self.withFile("hush hush\n", mode: 0o600) { path in
      let filed = try JobSecret.read(["TUTTI_SECRET_FILE": path])
      #expect(key(direct) == key(filed) && filed.isAuthenticated)
    }
    #expect(key(direct) != key(.unauthenticated))
  }

  @Test func keysDifferByCommunicator() {
    let keys = (0..<3).map { index in
      testSecret.handshakeKey(for: CommunicatorID(high: 1, low: UInt64(index))).authenticationCode(of: [])
    }
    #expect(Set(keys).count == 3 && keys[0].count == 32)
  }

  @Test func missingSecretSaysWhatToSet() {
    for environment in [[:], ["TUTTI_SECRET": ""], ["TUTTI_ALLOW_UNAUTHENTICATED": "0"]] {
      let error = #expect(throws: FailureReport.self) { try JobSecret.read(environment) }
      #expect(error?.code == .authentication)
      for name in ["TUTTI_SECRET", "TUTTI_SECRET_FILE", "TUTTI_ALLOW_UNAUTHENTICATED=1"] {
        #expect(error?.advice.contains(name) == true)
      }
    }
  }

  @Test func goesWithoutOnlyWhenTold() throws {
    let none = try JobSecret.read(["TUTTI_ALLOW_UNAUTHENTICATED": "1"])
    #expect(!none.isAuthenticated)
    let some = try JobSecret.read(["TUTTI_ALLOW_UNAUTHENTICATED": "1", "TUTTI_SECRET": "x"])
    #expect(some.isAuthenticated)
    #expect(throws: FailureReport.self) { try JobSecret.read(["TUTTI_ALLOW_UNAUTHENTICATED": "yes"]) }
  }

  @Test(arguments: [0o644, 0o640, 0o604, 0o620, 0o660] as [mode_t])
  func refusesFilesOthersCanSee(_ mode: mode_t) throws {
    try Self.withFile("topsecret", mode: mode) { path in
      let error = #expect(throws: FailureReport.self) { try JobSecret.read(["TUTTI_SECRET_FILE": path]) }
      #expect(error?.message.contains(String(mode, radix: 8)) == true && error?.advice.contains("chmod 600") == true)
      #expect(error?.description.contains("topsecret") == false)
      // Whoever may know the secret is for the user to say; who may change it is not.
      let isTold = ["TUTTI_SECRET_FILE": path, "TUTTI_SECRET_FILE_READABLE": "1"]
      if mode & 0o022 == 0 {
        let (told, plain) = (try JobSecret.read(isTold), try JobSecret.read(["TUTTI_SECRET": "topsecret"]))
        #expect(key(told) == key(plain))
      } else {
        #expect(throws: FailureReport.self) { try JobSecret.read(isTold) }
      }
    }
  }

  /// Mode, whether the file is this user's, whether it is on a read-only mount, and what is wrong with that.
  @Test(
    arguments: [
      (0o440, false, false, nil),  // What the kubelet gives a pod with fsGroup: root's, readable by the group.
      (0o440, true, false, "read"), (0o440, true, true, nil),
      (0o444, false, false, "read"), (0o444, false, true, nil),  // A container's secret, mounted read-only.
      (0o400, false, false, nil), (0o600, true, false, nil), (0o460, false, false, "written"),
      (0o446, false, true, "written"),
    ] as [(mode_t, Bool, Bool, String?)])
  func judgesModesAsContainersGiveThem(_ mode: mode_t, _ isOwn: Bool, _ isReadOnly: Bool, _ flaw: String?) {
    let access = SecretFile.Access(mode: mode, isOwn: isOwn, isOnReadOnlyMount: isReadOnly)
    #expect(access.flaw(mayBeRead: false) == flaw)
  }

  @Test func keysDifferByJob() throws {
    let environment = ["TUTTI_SECRET": "hush hush"]
    let plain = try JobSecret.read(environment)
    let own = try JobSecret.read(environment.merging(["TUTTI_JOB": "a"]) { $1 }, job: "17.1")
    let launchers = try JobSecret.read(environment, job: "17.1")
    #expect(Set([key(plain), key(own), key(launchers)]).count == 3)
    #expect(key(own) == key(plain.bound(to: "a")))
    let long = String(repeating: "x", count: 256)
    #expect(throws: FailureReport.self) { try JobSecret.read(environment.merging(["TUTTI_JOB": long]) { $1 }) }
  }

  @Test func refusesUselessFiles() throws {
    for content in ["", "\n", String(repeating: "x", count: 5000)] {
      try Self.withFile(content, mode: 0o600) { path in
        let error = #expect(throws: FailureReport.self) { try JobSecret.read(["TUTTI_SECRET_FILE": path]) }
        #expect(error?.code == .configuration)
      }
    }
    for path in ["/nonexistent/secret", "/tmp", "/dev/null"] {
      let error = #expect(throws: FailureReport.self) { try JobSecret.read(["TUTTI_SECRET_FILE": path]) }
      #expect(error?.message.contains(path) == true)
    }
    #expect(throws: FailureReport.self) { try JobSecret.read(["TUTTI_SECRET": "a", "TUTTI_SECRET_FILE": "b"]) }
  }

  @Test func neverPrintsItself() {
    let secret = JobSecret(bytes: Array("visible?".utf8), origin: "the test")
    var dumped = ""
    dump(secret, to: &dumped)
    let texts = ["\(secret)", String(reflecting: secret), String(describing: Optional(secret)), dumped, "\([secret])"]
    let numbers = Array("visible?".utf8).map(String.init).joined(separator: ", ")
    for text in texts { #expect(!text.contains("visible") && !text.contains(numbers), "\(text)") }
  }
}
