import Foundation

/// A parameter as a checkpoint knows it.
public struct CheckpointParameter: Codable, Sendable, Equatable {
  public let name: String
  public let shape: [Int]

  public init(name: String, shape: [Int]) {
    self.name = name
    self.shape = shape
  }

  /// Elements; 1 for a scalar, whose shape is empty.
  public var count: Int { shape.reduce(1, *) }
}

/// What must be equal for a run to go on from a checkpoint: the model, its element type, and what the optimizer keeps.
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

  /// What differs in `other`, in one clause; nil when nothing does.
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
public struct CheckpointManifest: Codable, Sendable, Equatable {
  /// Raised when a file of an older version would be misread.
  public static let currentFormat = 1
  static let fileName = "manifest.json"

  /// The file of one rank.
  public struct Shard: Codable, Sendable, Equatable {
    public let file: String
    public let bytes: Int
    /// Of the whole file, in hexadecimal, as `sha256sum` prints it.
    public let sha256: String
  }

  public let formatVersion: Int
  public let identity: CheckpointIdentity
  public let progress: CheckpointProgress
  /// The ranks that wrote it: the number of shards.
  public let rankCount: Int
  public let shards: [Shard]

  func encoded() throws -> Data {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    return try encoder.encode(self)
  }

  /// Reads the manifest of a checkpoint's folder.
  ///
  /// - Throws: ``CheckpointError`` with `.interrupted`, `.newerFormat` or `.damaged`.
  static func read(folder: String) throws(CheckpointError) -> CheckpointManifest {
    let path = "\(folder)/\(fileName)"
    guard FileManager.default.fileExists(atPath: path) else {
      throw CheckpointError(
        .interrupted, folder,
        "has no \(fileName): the writing of this checkpoint was interrupted. Use an older one, or remove this folder.")
    }
    struct Version: Codable { let formatVersion: Int }
    let manifest: CheckpointManifest
    do {
      let data = try Data(contentsOf: URL(filePath: path))
      let version = try JSONDecoder().decode(Version.self, from: data).formatVersion
      guard version <= currentFormat else {
        throw CheckpointError(
          .newerFormat, folder,
          "was written in format \(version), and this program knows formats up to \(currentFormat). Use a newer program.")
      }
      manifest = try JSONDecoder().decode(CheckpointManifest.self, from: data)
    } catch let error as CheckpointError {
      throw error
    } catch {
      throw CheckpointError(
        .damaged, path, "is not a manifest that can be read. Use an older checkpoint, or remove this folder.")
    }
    guard manifest.shards.count == manifest.rankCount, manifest.rankCount > 0 else {
      throw CheckpointError(.damaged, path, "names \(manifest.shards.count) shards for \(manifest.rankCount) ranks.")
    }
    return manifest
  }
}
