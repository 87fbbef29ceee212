// The handwritten digits (Data/README.md says whose they are): read, checked field by field, split for training and test.

import Foundation

/// Images with their labels. `pixels` has shape `[count, 64]`, row by row, from 0 (paper) to 1 (ink); labels are 0 to 9.
public struct LabeledImages: Sendable, Equatable {
  public var pixels: [Float] = []
  public var labels: [Int32] = []
  public var count: Int { labels.count }

  /// The images with these indices, in this order; none gives empty arrays.
  public func batch(_ indices: [Int]) -> LabeledImages {
    var batch = LabeledImages()
    batch.pixels.reserveCapacity(indices.count * Digits.pixelCount)
    for index in indices {
      batch.append(pixels[index * Digits.pixelCount..<(index + 1) * Digits.pixelCount], labels[index])
    }
    return batch
  }

  mutating func append(_ image: ArraySlice<Float>, _ label: Int32) {
    pixels += image
    labels.append(label)
  }
}

/// Optical Recognition of Handwritten Digits (Alpaydin & Kaynak, UCI Machine Learning Repository, 1998, doi
/// 10.24432/C50P49).
///
/// The split takes every fifth image of each digit, in the order of the file, for the test, and the others for training. It
/// depends on nothing else, so all ranks and all runs have the same: 1,442 images for training and 355 for the test.
public struct Digits: Sendable {
  public static let pixelCount = 64
  public static let classCount = 10
  /// The largest value in the file, which becomes 1.
  public static let inkMax = 16
  public static let testEvery = 5

  public let train: LabeledImages
  public let test: LabeledImages

  static let committed = CommittedFile(
    name: "digits.csv", byteCount: 264_712, sha256: "6ebb3d2fee246a4e99363262ddf8a00a3c41bee6014c373ed9d9216ba7f651b8")

  /// - Parameter source: `nil` for the data that comes with the example; else a file of the same format, or a folder with
  ///   `digits.csv` in it: a line for each image, 64 integers from 0 to 16 and the digit, separated by commas.
  /// - Throws: `.unreadable`, `.damaged`, `.badLine`, and `.tooSmall` when nothing is left for training or test.
  public static func load(from source: URL? = nil) throws(DatasetError) -> Digits {
    guard let source else { return try committed.load(at: committed.locate(), parse: Digits.init) }
    let expected = "digits.csv with 64 pixels from 0 to 16 and a digit on each line"
    let url = try DataFile.find(in: source, expected: expected) { $0.filter { $0 == committed.name } }
    return try Digits(DataFile(url, expected: expected, advice: "make sure that you may read it"))
  }

  init(_ file: DataFile) throws(DatasetError) {
    var train = LabeledImages()
    var test = LabeledImages()
    var seen = [Int](repeating: 0, count: Digits.classCount)
    var image: [Float] = []
    var lines = file.bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
    if lines.last?.isEmpty == true { lines.removeLast() }
    for (index, line) in lines.enumerated() {
      func bad(_ found: String, expected: String) -> DatasetError {
        .badLine(path: file.path, line: index + 1, expected: expected, found: found)
      }
      let fields = (line.last == UInt8(ascii: "\r") ? line.dropLast() : line)
        .split(separator: UInt8(ascii: ","), omittingEmptySubsequences: false)
      guard fields.count == Digits.pixelCount + 1 else {
        throw bad("\(fields.count) fields", expected: "\(Digits.pixelCount + 1) fields separated by commas")
      }
      image.removeAll(keepingCapacity: true)
      for (column, field) in fields.enumerated() {
        let text = String(decoding: field, as: UTF8.self)
        let isLabel = column == Digits.pixelCount
        let limit = isLabel ? Digits.classCount - 1 : Digits.inkMax
        guard let value = Int(text), (0...limit).contains(value) else {
          throw bad(
            "field \(column + 1) is \"\(text.prefix(20))\"",
            expected: "\(isLabel ? "the digit, an integer" : "a pixel, an integer") from 0 to \(limit)")
        }
        if !isLabel {
          image.append(Float(value) / Float(Digits.inkMax))
          continue
        }
        seen[value] += 1
        if seen[value] % Digits.testEvery == 0 {
          test.append(image[...], Int32(value))
        } else {
          train.append(image[...], Int32(value))
        }
      }
    }
    guard train.count > 0, test.count > 0 else {
      throw .tooSmall(
        path: file.path,
        expected: "at least \(Digits.testEvery) images of a digit: every \(Digits.testEvery)th is for the test",
        found: "\(lines.count) images")
    }
    self.train = train
    self.test = test
  }
}
