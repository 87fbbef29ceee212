import Digests
import Foundation

#if _endian(big)
  #error("shards are little-endian, and their elements are written as they are in memory")
#endif

/// The file of one rank: a header, a table of pieces, and the elements of one piece after the other.
///
///     bytes        what (integers are little-endian)
///     0 ..< 8      "TUTTICKP"
///     8 ..< 24     format, rank, rank count, bytes of an element: UInt32 each
///     24 ..< 40    step, number of pieces: UInt64 each
///     then         for each piece: parameter, part (0: values, 1 + k: optimizer state k): UInt32 each;
///                  first element, number of elements: UInt64 each
///     then         the elements
///
/// The manifest has the SHA-256 of all of it, which is compared before anything is taken from a shard; then the header is
/// compared with the manifest.
enum Shard {
  static let magic = Array("TUTTICKP".utf8)
  static let headerBytes = 40
  static let entryBytes = 24

  static func fileName(rank: Int, rankCount: Int) -> String { "shard-\(rank)-of-\(rankCount).tutti" }

  /// Writes the shard of a rank, durably.
  static func write<Element>(
    _ pieces: [CheckpointPiece<Element>], to folder: String, rank: Int, rankCount: Int, step: Int
  ) throws(CheckpointError) -> CheckpointManifest.Shard {
    let name = fileName(rank: rank, rankCount: rankCount)
    var header = magic
    for value in [CheckpointManifest.currentFormat, rank, rankCount, MemoryLayout<Element>.stride] {
      append(UInt32(value), to: &header)
    }
    for value in [step, pieces.count] { append(UInt64(value), to: &header) }
    for piece in pieces {
      append(UInt32(piece.parameter), to: &header)
      append(piece.part.code, to: &header)
      append(UInt64(piece.range.lowerBound), to: &header)
      append(UInt64(piece.range.count), to: &header)
    }
    var file = try DurableFile(creating: "\(folder)/\(name)")
    try header.withUnsafeBytes { bytes in Result { () throws(CheckpointError) in try file.write(bytes) } }.get()
    for piece in pieces { try file.write(UnsafeRawBufferPointer(piece.memory)) }
    let bytes = file.bytes
    return CheckpointManifest.Shard(file: name, bytes: bytes, sha256: try file.finish())
  }

  private static func append(_ value: some FixedWidthInteger, to bytes: inout [UInt8]) {
    withUnsafeBytes(of: value.littleEndian) { bytes.append(contentsOf: $0) }
  }
}

/// A shard being read: its bytes, compared with what was written, and where each piece is in them.
struct ShardContents {
  struct Entry {
    let parameter: Int
    let part: CheckpointPart
    let range: Range<Int>
    /// The offset of the first element in the file.
    let offset: Int
  }

  let path: String
  let data: Data
  let entries: [Entry]

  /// - Throws: ``CheckpointError`` with `.damaged`; also when the shard is whole, but not the one that the manifest means.
  init(folder: String, _ manifest: CheckpointManifest, rank: Int, elementBytes: Int) throws(CheckpointError) {
    let shard = manifest.shards[rank]
    let path = "\(folder)/\(shard.file)"
    self.path = path
    func damaged(_ text: String) -> CheckpointError {
      CheckpointError(.damaged, path, "\(text). Use an older checkpoint: remove the folder of this one.")
    }
    guard let data = try? Data(contentsOf: URL(filePath: path), options: .alwaysMapped) else {
      throw damaged("is missing or cannot be read; expected \(shard.bytes) bytes")
    }
    guard data.count == shard.bytes else { throw damaged("has \(data.count) bytes; expected \(shard.bytes)") }
    let found = data.withUnsafeBytes { SHA256.hexadecimal(of: $0) }
    guard found == shard.sha256 else {
      throw damaged("is damaged: its SHA-256 is \(found.prefix(16))...; expected \(shard.sha256.prefix(16))...")
    }
    let expected = [
      ("format", manifest.formatVersion), ("rank", rank), ("number of ranks", manifest.rankCount),
      ("size of an element", elementBytes), ("step", manifest.progress.step),
    ]
    guard let header = Self.header(of: data) else { throw damaged("has no header of a shard") }
    for ((name, value), found) in zip(expected, header) where found != UInt64(exactly: value) {
      throw damaged("is of another checkpoint: its \(name) is \(found), and its manifest says \(value)")
    }
    guard let entries = Self.table(of: data, elementBytes: elementBytes) else { throw damaged("has a malformed table") }
    self.data = data
    self.entries = entries
  }

  /// - Returns: Format, rank, rank count, bytes of an element, step; nil where this is no shard.
  private static func header(of data: Data) -> [UInt64]? {
    guard data.count >= Shard.headerBytes, data.prefix(8).elementsEqual(Shard.magic) else { return nil }
    return data.withUnsafeBytes { bytes in
      stride(from: 8, to: 24, by: 4).map { offset in
        UInt64(UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt32.self)))
      } + [UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: 24, as: UInt64.self))]
    }
  }

  /// - Parameter data: Bytes that begin with a header.
  /// - Returns: nil where the table contradicts the file's length.
  private static func table(of data: Data, elementBytes: Int) -> [Entry]? {
    data.withUnsafeBytes { bytes -> [Entry]? in
      func word(_ offset: Int) -> UInt32 {
        UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt32.self))
      }
      func long(_ offset: Int) -> Int? {
        Int(exactly: UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self)))
      }
      guard let count = long(32), count <= (bytes.count - Shard.headerBytes) / Shard.entryBytes else { return nil }
      var entries: [Entry] = []
      var offset = Shard.headerBytes + count * Shard.entryBytes
      for index in 0..<count {
        let base = Shard.headerBytes + index * Shard.entryBytes
        guard let first = long(base + 8), let elements = long(base + 16),
          elements <= (bytes.count - offset) / elementBytes, first <= Int.max - elements
        else { return nil }
        entries.append(
          Entry(
            parameter: Int(word(base)), part: CheckpointPart(code: word(base + 4)), range: first..<first + elements,
            offset: offset))
        offset += elements * elementBytes
      }
      return offset == bytes.count ? entries : nil
    }
  }

  /// Copies what a piece and an entry have in common into the piece's memory.
  func copy<Element>(_ entry: Entry, into piece: CheckpointPiece<Element>) {
    let common = entry.range.clamped(to: piece.range)
    guard entry.parameter == piece.parameter, entry.part == piece.part, !common.isEmpty else { return }
    let stride = MemoryLayout<Element>.stride
    data.withUnsafeBytes { bytes in
      let start = entry.offset + (common.lowerBound - entry.range.lowerBound) * stride
      let source = UnsafeRawBufferPointer(rebasing: bytes[start..<start + common.count * stride])
      let target = UnsafeMutableRawBufferPointer(piece.memory)
      let place = (common.lowerBound - piece.range.lowerBound) * stride
      UnsafeMutableRawBufferPointer(rebasing: target[place...]).copyMemory(from: source)
    }
  }
}
