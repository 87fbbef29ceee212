import Digests
import Foundation

/// A parameter as a checkpoint knows it.
public struct CheckpointParameter: Codable, Sendable, Equatable {
  public let name: String
  public let shape: [Int]

  public init(name: String, shape: [Int]) {
    self.name = name
    self.shape = shape
  }

  /// A larger number of elements must be a damaged number: such a parameter would have terabytes.
  public static let maximumCount = 1 << 40

  /// Elements; 1 for a scalar, whose shape is empty.
  ///
  /// Traps where ``isPlausible`` is false.
  public var count: Int { shape.reduce(1, *) }

  /// Whether no size is negative, and the elements are at most ``maximumCount``.
  public var isPlausible: Bool {
    var count = 1
    for size in shape {
      guard (0...Self.maximumCount).contains(size) else { return false }
      let (product, overflows) = count.multipliedReportingOverflow(by: size)
      guard !overflows, product <= Self.maximumCount else { return false }
      count = product
    }
    return true
  }
}

/// Identifies what a run trains. The model, its element type and the optimizer's states must be equal for a run to go on
/// from a checkpoint.
public struct CheckpointIdentity: Codable, Sendable, Equatable {
  public var model: String
  /// Sizes and choices the model was made with, by name.
  public var configuration: [String: String]
  /// `float32` or `float64`.
  public var elementType: String
  public var parameters: [CheckpointParameter]
  /// What the optimizer keeps for each parameter: `["momentum"]`.
  public var states: [String]

  public init(
    model: String, configuration: [String: String], elementType: String, parameters: [CheckpointParameter], states: [String]
  ) {
    self.model = model
    self.configuration = configuration
    self.elementType = elementType
    self.parameters = parameters
    self.states = states
  }

  /// Says what differs in `other`, in one clause; nil when nothing does.
  public func difference(from other: CheckpointIdentity) -> String? {
    if model != other.model { return "its model is '\(model)', not '\(other.model)'" }
    for name in Set(configuration.keys).union(other.configuration.keys).sorted()
    where configuration[name] != other.configuration[name] {
      return "its \(name) is \(configuration[name] ?? "not set"), not \(other.configuration[name] ?? "set at all")"
    }
    if elementType != other.elementType { return "its elements are \(elementType), not \(other.elementType)" }
    for (own, theirs) in zip(parameters, other.parameters) where own != theirs {
      return
        "it has parameter '\(own.name)' of shape \(own.shape) where this model has '\(theirs.name)' of shape \(theirs.shape)"
    }
    if parameters.count != other.parameters.count {
      let longer = parameters.count > other.parameters.count ? parameters : other.parameters
      let name = longer[min(parameters.count, other.parameters.count)].name
      return
        "it has \(parameters.count) parameters, not \(other.parameters.count): '\(name)' is the first without a counterpart"
    }
    if states != other.states {
      return "its optimizer keeps \(Self.list(states)), not \(Self.list(other.states))"
    }
    return nil
  }

  private static func list(_ names: [String]) -> String { names.isEmpty ? "nothing" : names.joined(separator: " and ") }
}

/// Where a run was when the checkpoint was written. Equal on all ranks.
public struct CheckpointProgress: Codable, Sendable, Equatable {
  /// Optimizer steps made.
  public var step: Int
  public var seed: UInt64
  /// Samples drawn from the training data.
  public var samplePosition: Int
  /// Learning rate, batch size and the like, as the run was started.
  public var hyperParameters: [String: String]
  /// The order in which gradients became ready, as the buckets were built from it; empty when it was not known yet.
  public var readyOrder: [Int]
  /// The best accuracy or loss of an evaluation so far.
  public var bestMetric: Double?

  public init(
    step: Int, seed: UInt64, samplePosition: Int, hyperParameters: [String: String] = [:], readyOrder: [Int] = [],
    bestMetric: Double? = nil
  ) {
    self.step = step
    self.seed = seed
    self.samplePosition = samplePosition
    self.hyperParameters = hyperParameters
    self.readyOrder = readyOrder
    self.bestMetric = bestMetric
  }
}

/// `manifest.json`: written last, so that a folder that has one is whole.
///
/// Its ``sha256`` is the digest of the file's bytes with this field empty. By hand:
///
///     sed 's/^  "sha256" : ".*"/  "sha256" : ""/' manifest.json | sha256sum
public struct CheckpointManifest: Codable, Sendable, Equatable {
  /// Raised when a file of an older version would be misread.
  public static let currentFormat = 1
  static let fileName = "manifest.json"

  /// The file of one rank.
  public struct Shard: Codable, Sendable, Equatable {
    public let file: String
    public let bytes: Int
    /// The digest of the whole file, in hexadecimal, as `sha256sum` prints it.
    public let sha256: String
  }

  public let formatVersion: Int
  public let identity: CheckpointIdentity
  public let progress: CheckpointProgress
  /// The ranks that wrote it: the number of shards.
  public let rankCount: Int
  public let shards: [Shard]
  /// The digest of this file with this field empty, in hexadecimal; empty before it is written.
  public private(set) var sha256 = ""

  init(
    formatVersion: Int = currentFormat, identity: CheckpointIdentity, progress: CheckpointProgress, rankCount: Int,
    shards: [Shard]
  ) {
    self.formatVersion = formatVersion
    self.identity = identity
    self.progress = progress
    self.rankCount = rankCount
    self.shards = shards
  }

  /// The file's bytes, with the SHA-256 of them.
  func encoded() throws -> Data {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    var sealed = self
    sealed.sha256 = ""
    sealed.sha256 = try encoder.encode(sealed).withUnsafeBytes { SHA256.hexadecimal(of: $0) }
    return try encoder.encode(sealed)
  }

  /// Whether the bytes are those that were written: any other byte of the file gives another hash.
  private static func isUnchanged(_ data: Data, sha256: String) -> Bool {
    guard sha256.utf8.count == SHA256.digitCount, let place = data.firstRange(of: Data(sha256.utf8)) else { return false }
    var body = data
    body.removeSubrange(place)
    return body.withUnsafeBytes { SHA256.hexadecimal(of: $0) } == sha256
  }

  /// Reads the manifest of a checkpoint's folder.
  ///
  /// - Throws: ``CheckpointError`` with `.interrupted`, `.unreadable`, `.newerFormat` or `.damaged`.
  static func read(folder: String) throws(CheckpointError) -> CheckpointManifest {
    let path = "\(folder)/\(fileName)"
    let data = try bytes(path, of: folder)
    func damaged(_ text: String) -> CheckpointError {
      CheckpointError(.damaged, path, "\(text). Use an older checkpoint, or remove this folder.")
    }
    struct Head: Codable {
      let formatVersion: Int
      let sha256: String?
    }
    guard let head = try? JSONDecoder().decode(Head.self, from: data) else {
      throw damaged("is not a manifest that can be read")
    }
    guard head.formatVersion <= currentFormat else {
      throw CheckpointError(
        .newerFormat, folder,
        "was written in format \(head.formatVersion), and this program knows formats up to \(currentFormat). "
          + "Use a newer program.")
    }
    guard let sha256 = head.sha256 else {
      throw damaged("has no sha256 of itself: it was changed, or an early version of this program wrote it")
    }
    guard isUnchanged(data, sha256: sha256) else {
      throw damaged("is damaged: it was changed after it was written, and its SHA-256 is not \(sha256.prefix(16))...")
    }
    guard let manifest = try? JSONDecoder().decode(CheckpointManifest.self, from: data) else {
      throw damaged("is not a manifest that can be read")
    }
    if let contradiction = manifest.contradiction(folder: folder) { throw damaged(contradiction) }
    return manifest
  }

  private static func bytes(_ path: String, of folder: String) throws(CheckpointError) -> Data {
    // Foundation's errors do not always have the number.
    guard access(path, R_OK) == 0 else {
      guard errno == ENOENT || errno == ENOTDIR else { throw .reading(path) }
      throw CheckpointError(
        .interrupted, folder,
        "has no \(fileName): the writing of this checkpoint was interrupted. Use an older one, or remove this folder.")
    }
    do { return try Data(contentsOf: URL(filePath: path)) } catch { throw .reading(path, errorNumber(error)) }
  }

  /// Says what cannot be in a manifest as it was written; nil when nothing is wrong.
  private func contradiction(folder: String) -> String? {
    guard shards.count == rankCount, rankCount > 0 else { return "names \(shards.count) shards for \(rankCount) ranks" }
    if let parameter = identity.parameters.first(where: { !$0.isPlausible }) {
      return "has a parameter '\(parameter.name)' of shape \(parameter.shape), which no model has"
    }
    let name = URL(filePath: folder).standardizedFileURL.lastPathComponent
    // A copy may have a name of the user's own.
    if let step = CheckpointFolder.step(name), step != progress.step {
      return "is of step \(progress.step), and its folder has the name of step \(step)"
    }
    return nil
  }
}
