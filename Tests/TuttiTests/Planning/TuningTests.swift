import Foundation
import Testing
import TuttiAlgorithms
import TuttiChoice
import TuttiSchedule
import TuttiSystem
import TuttiTesting
import TuttiTopology

@testable import Tutti

/// A job takes rank 0's tuning profile, or all of it learns why not.
@Suite(.serialized) struct TuningTests {
  /// A folder of this test's own, and files in it.
  private final class Folder {
    let path = FileManager.default.temporaryDirectory.appending(path: "tuning-\(UUID().uuidString)").path

    init() throws { try FileManager.default.createDirectory(atPath: path + "/tutti", withIntermediateDirectories: true) }
    deinit { try? FileManager.default.removeItem(atPath: path) }

    func file(_ name: String, _ text: String) throws -> String {
      try text.write(toFile: "\(path)/\(name)", atomically: true, encoding: .utf8)
      return "\(path)/\(name)"
    }
  }

  private final class Store: Tutti.Rendezvous {
    private let values = Lock<[String: [UInt8]]>([:])
    func put(_ value: [UInt8], for key: String, timeout: Duration) { values.withLock { $0[key] = value } }
    func get(_ key: String, timeout: Duration) -> [UInt8]? { values.withLock { $0[key] } }
  }

  /// Joins three ranks, each with variables of its own, and runs `body` as each of them.
  private func withRanks(
    _ environments: [[String: String]], _ options: CommunicatorOptions = CommunicatorOptions(),
    _ body: @escaping @Sendable (Communicator) throws -> Void
  ) throws {
    let store = Store()
    try TuttiTesting.onThreads(environments.count) { rank in
      let communicator = try Communicator.join(
        rank: rank, rankCount: environments.count, rendezvous: store, secret: .bytes([1, 2, 3]), options: options,
        environment: environments[rank])
      try body(communicator)
      communicator.close()
    }
  }

  /// The shape of three ranks that join here.
  private func shape() throws -> JobShape {
    let found = Lock<JobShape?>(nil)
    try withRanks([[:], [:], [:]]) { communicator in found.withLock { $0 = communicator.jobShape } }
    return try #require(found.withLock { $0 })
  }

  private func profile(_ shape: JobShape, _ times: [String: Double], family: ProcessorFamily? = nil) -> TuningProfile {
    TuningProfile(
      name: "three", family: family, measured: "in a test",
      tables: [TuningTable(shape: shape, collective: .allReduce, rows: [.init(bytes: 8, microseconds: times)])])
  }

  /// Folds as the job's results do, and is never what predictions take for large messages on one host.
  private static let times = ["recursive-doubling": 1.0, "two-shot": 5, "one-shot": 6, "ring": 7]

  @Test("rank 0's profile is everybody's, and a split's") func rankZeros() throws {
    let (folder, profile) = (try Folder(), profile(try shape(), Self.times))
    let file = try folder.file("own.yaml", profile.text)
    try withRanks([["TUTTI_TUNING": file], [:], ["TUTTI_TUNING": file]]) { communicator in
      let info = communicator.tuning
      #expect(info.name == "three" && info.hash == profile.hash && info.source == file && info.measured == "in a test")
      let explanation = try communicator.explain(.allReduce, bytes: 1 << 20)
      #expect(explanation.chosen == "recursive-doubling" && explanation.tuning == "three (measured: in a test)")
      #expect(explanation.candidates.contains { $0.name == "two-shot" && $0.isMeasured && $0.microseconds == 5 * 131_072 })
      #expect(explanation.candidates.contains { !$0.isMeasured && $0.microseconds != nil })
      var values = [Float](repeating: 1, count: 1 << 18)
      try communicator.allReduce(&values, .sum)
      #expect(communicator.lastOperation.algorithm == "recursive-doubling" && values.allSatisfy { $0 == 3 })
      let child = try #require(try communicator.split(color: 0))
      #expect(child.tuning == info)
      #expect(try child.explain(.allReduce, bytes: 8).chosen == "recursive-doubling")
      child.close()
    }
  }

  @Test("without one, the family's built-in profile is taken") func builtIn() throws {
    try withRanks([["TUTTI_TUNING": "none"], [:], ["TUTTI_TUNING": "none"]]) { communicator in
      #expect(communicator.tuning.name == "built-in \(ProcessorFamily.current().rawValue)")
      #expect(communicator.tuning.source == "built in")
    }
  }

  @Test("a rank that was given another profile is named on all ranks", arguments: ["none", "other"])
  func differing(_ kind: String) throws {
    let (folder, own) = (try Folder(), profile(try shape(), Self.times))
    let file = try folder.file("own.yaml", own.text)
    var changed = own
    changed.name = "four"
    let other = kind == "none" ? kind : try folder.file("other.yaml", changed.text)
    let errors = Lock<[String]>([])
    let environments = [["TUTTI_TUNING": file], ["TUTTI_TUNING": file], ["TUTTI_TUNING": other]]
    let store = Store()
    try TuttiTesting.onThreads(3) { rank in
      do throws(TuttiError) {
        _ = try Communicator.join(
          rank: rank, rankCount: 3, rendezvous: store, secret: .bytes([1]), environment: environments[rank])
        Issue.record("rank \(rank) joined")
      } catch {
        #expect(error.code == .configuration && error.peer == 2)
        errors.withLock { $0.append(error.message) }
      }
    }
    let second = kind == "none" ? "none" : "\"four\" (\(changed.hash))"
    let text = "rank 2 was given the tuning profile \(second), and rank 0 takes \"three\" (\(own.hash))"
    #expect(errors.withLock { $0 } == [text, text, text])
  }

  @Test("a profile of other processors or ranks leaves what is built in, or is forced") func fitting() throws {
    let shape = try shape()
    let strange = ProcessorFamily.allCases.first { $0 != .current() }
    let profiles = [
      profile(shape, Self.times, family: strange),
      profile(JobShape(medium: shape.medium, ranks: 77, processors: 5), Self.times),
    ]
    for profile in profiles {
      var options = CommunicatorOptions()
      options.tuning = try JobTuning(text: profile.text)
      try withRanks([[:], [:], [:]], options) { communicator in #expect(communicator.tuning.source == "built in") }
      try withRanks([["TUTTI_TUNING_FORCE": "1"], [:], [:]], options) { communicator in
        #expect(communicator.tuning.name == "three" && communicator.tuning.source == "options")
        let explanation = try communicator.explain(.allReduce, bytes: 8)
        #expect(explanation.chosen == "recursive-doubling")
      }
      options.tuning?.isForced = true
      let alone = try Communicator.makeInProcess(rankCount: 3, options: options)
      #expect(alone[0].tuning.name == "three")
    }
  }

  // MARK: What a rank is given

  @Test("the default path is rank 0's, and need not exist") func defaultPath() throws {
    let folder = try Folder()
    let environment = ["XDG_CONFIG_HOME": folder.path, "HOME": "/nowhere"]
    #expect(try TuningOffer.read(environment, nil, rank: 0).profile == nil)
    let profile = TuningProfile(name: "mine")
    let file = try folder.file("tutti/tuning.yaml", profile.text)
    let offer = try TuningOffer.read(environment, nil, rank: 0)
    #expect(offer.profile == profile && offer.source == .file(file) && !offer.isExplicit && offer.notice == nil)
    #expect(try TuningOffer.read(environment, nil, rank: 1).profile == nil)
    for (key, value) in [("TUTTI_TUNING", "none"), ("XDG_CONFIG_HOME", "relative")] {
      #expect(try TuningOffer.read(environment.merging([key: value]) { $1 }, nil, rank: 0).profile == nil)
    }
    #expect(try TuningOffer.read(environment, .builtIn, rank: 0).profile == nil)
    #expect(TuningOffer.defaultPath(["HOME": "/home/x"]) == "/home/x/.config/tutti/tuning.yaml")
    #expect(TuningOffer.defaultPath([:]) == nil)

    _ = try folder.file("tutti/tuning.yaml", "version: 1\nname: x\nmeasurd: y\n")
    let error = #expect(throws: FailureReport.self) { try TuningOffer.read(environment, nil, rank: 0) }
    #expect(error?.code == .configuration)
    #expect(error?.message == "\(file):3:1: measurd: unknown key of a tuning profile; did you mean 'measured'?")

    _ = try folder.file("tutti/tuning.yaml", "version: 2\nname: x\n")
    let later = try TuningOffer.read(environment, nil, rank: 0)
    #expect(later.profile == nil && later.source == .builtIn)
    #expect(later.notice == "tuning profile \(file) is of another version of the format than 1: not used")
    let forced = try TuningOffer.read(environment.merging(["TUTTI_TUNING_FORCE": "1"]) { $1 }, nil, rank: 0)
    #expect(forced.profile?.name == "x" && forced.isForced)
  }

  @Test("what contradicts itself or is not there is an error") func mistakes() throws {
    let folder = try Folder()
    let file = try folder.file("a.yaml", TuningProfile(name: "a").text)
    let option = try JobTuning(contentsOf: file)
    #expect(option.name == "a" && option.description == "a (not measured)" && option.hash.count == 32)
    #expect(try TuningOffer.read(["TUTTI_TUNING": file], option, rank: 1).source == .file(file))
    func message(_ environment: [String: String], _ option: JobTuning?) -> String? {
      #expect(throws: FailureReport.self) { try TuningOffer.read(environment, option, rank: 1) }?.message
    }
    #expect(message(["TUTTI_TUNING": "none"], option)?.contains("is not the tuning profile that the program's own") == true)
    #expect(message(["TUTTI_TUNING": file], .builtIn)?.contains("own options have (none)") == true)
    #expect(message(["TUTTI_TUNING": folder.path + "/b.yaml"], nil) == "\(folder.path)/b.yaml: No such file or directory")
    #expect(message(["TUTTI_TUNING_FORCE": "yes"], nil) == "TUTTI_TUNING_FORCE=\"yes\" is neither 0 nor 1")
    #expect(throws: TuttiError.self) { try JobTuning(text: "version: 2\nname: x") }
    #expect(throws: TuttiError.self) { try JobTuning(text: "version: 1") }
  }

  @Test("words that no rank says are refused") func garbled() throws {
    let good = TuningAgreement.bytes(TuningOffer(), rank: 0)
    #expect(try TuningAgreement([good, good]).profile == nil)
    for count in 0..<good.count {
      let error = #expect(throws: FailureReport.self) { try TuningAgreement([good, Array(good.prefix(count))]) }
      #expect(error?.code == .version && error?.peer == 1)
    }
    let error = #expect(throws: FailureReport.self) { try TuningAgreement([good + Array("no profile".utf8)]) }
    #expect(error?.code == .version && error?.peer == 0)
  }

  // MARK: Own algorithms

  /// One-shot under another name, which promises the tree that it is told to.
  private struct Mine: Algorithm {
    let name = "mine"
    let collective = Collective.allReduce
    var promises: @Sendable ([FoldTree]) -> FoldTree? = { _ in nil }
    func schedule(for position: Position) -> Schedule { OneShotAllReduce().schedule(for: position) }
    func foldTree(of operands: [FoldTree], in grouping: Grouping) -> FoldTree? { promises(operands) }
  }

  private func options(_ algorithm: Mine) throws -> CommunicatorOptions {
    var options = CommunicatorOptions()
    options.algorithms = [algorithm]
    let shape = try Communicator.makeInProcess(rankCount: 3)[0].jobShape
    options.tuning = try JobTuning(text: profile(shape, Self.times.merging(["mine": 0.5]) { $1 }).text)
    return options
  }

  private func onThreads(
    _ options: CommunicatorOptions, _ body: @escaping @Sendable (Communicator) throws -> Void
  ) throws {
    let communicators = try Communicator.makeInProcess(rankCount: 3, options: options)
    try TuttiTesting.onThreads(3) { try body(communicators[$0]) }
  }

  @Test("auto takes a program's own algorithm where it was measured to be the fastest") func ownAlgorithm() throws {
    try onThreads(options(Mine())) { communicator in
      var numbers: [Int32] = [1, 2]
      try communicator.allReduce(&numbers, .sum)
      #expect(communicator.lastOperation.algorithm == "mine" && numbers == [3, 6])
      // It promises no tree, so that results which round do not come from it.
      var values: [Float] = [1, 2]
      try communicator.allReduce(&values, .sum)
      #expect(communicator.lastOperation.algorithm == "recursive-doubling" && values == [3, 6])
    }
    try onThreads(options(Mine(promises: { FoldTree.canonical($0) }))) { communicator in
      var values: [Float] = [1, 2]
      try communicator.allReduce(&values, .sum)
      #expect(communicator.lastOperation.algorithm == "mine" && values == [3, 6])
    }
  }

  @Test("one that folds otherwise than it promises is refused before it runs") func brokenPromise() throws {
    struct Liar: Algorithm {
      let name = "mine"
      let collective = Collective.allReduce
      func schedule(for position: Position) -> Schedule { RingAllReduce.ring.schedule(for: position) }
      func foldTree(of operands: [FoldTree], in grouping: Grouping) -> FoldTree? { .canonical(operands) }
    }
    var options = try options(Mine())
    options.algorithms = [Liar()]
    try onThreads(options) { communicator in
      var values: [Float] = [1, 2]
      let error = #expect(throws: TuttiError.self) { try communicator.allReduce(&values, .sum) }
      #expect(error?.code == .unproven && error?.message.contains("folds by another tree than it promises") == true)
      #expect(values == [1, 2])
      // Where the order makes no difference, it may.
      var numbers: [Int32] = [1, 2]
      try communicator.allReduce(&numbers, .sum)
      #expect(communicator.lastOperation.algorithm == "mine" && numbers == [3, 6])
    }
  }
}
