// libyaml's part: the only file that imports it.

import CLibYAML
import TuttiTopology

/// One thing that libyaml finds in a text.
struct YAMLEvent {
  enum Kind {
    case documentStart, documentEnd, streamEnd
    case scalar(String, isQuoted: Bool)
    case sequenceStart, sequenceEnd
    case mappingStart, mappingEnd
    case alias(String)
  }

  var kind: Kind
  /// Where it begins, its anchor and tag included.
  var position: TextPosition
  var anchor: String?
  var tag: String?
}

/// What libyaml finds in a text, one event after another, in the order of the text (`yaml_parser_parse`).
///
/// Owns the parser and the bytes that it reads. Events are copied, so that nothing of libyaml's memory outlives a call. The
/// parser expands no alias and calls itself for no level of depth, so that a text keeps it no longer than its length says.
struct YAMLEvents: ~Copyable {
  private let text: DescriptionText
  private let bytes: UnsafeMutableBufferPointer<UInt8>
  private let parser: UnsafeMutablePointer<yaml_parser_t>

  init(_ text: DescriptionText) throws(DescriptionError) {
    let parser = UnsafeMutablePointer<yaml_parser_t>.allocate(capacity: 1)
    guard yaml_parser_initialize(parser) == 1 else {
      parser.deallocate()
      throw DescriptionError(.start, "there is no memory to parse the file")
    }
    let bytes = UnsafeMutableBufferPointer<UInt8>.allocate(capacity: text.text.utf8.count)
    _ = bytes.initialize(fromContentsOf: text.text.utf8)
    // Without this, two odd bytes at the start would have it decode UTF-16.
    yaml_parser_set_encoding(parser, YAML_UTF8_ENCODING)
    yaml_parser_set_input_string(parser, bytes.baseAddress, bytes.count)
    (self.text, self.bytes, self.parser) = (text, bytes, parser)
  }

  deinit {
    // In this order: the parser points into the bytes.
    yaml_parser_delete(parser)
    parser.deallocate()
    bytes.deallocate()
  }

  /// - Returns: The next event. After the end of the stream there is no other: libyaml repeats that one.
  /// - Throws: ``DescriptionError`` where the text is no YAML, and the same from then on.
  mutating func next() throws(DescriptionError) -> YAMLEvent {
    // A parser that has failed must not be asked again: libyaml would say that all is well.
    guard parser.pointee.error == YAML_NO_ERROR else { throw failure() }
    var event = yaml_event_t()
    guard yaml_parser_parse(parser, &event) == 1 else { throw failure() }
    defer { yaml_event_delete(&event) }
    let position = TextPosition(event.start_mark)
    switch event.type {
    case YAML_SCALAR_EVENT:
      let scalar = event.data.scalar
      let kind = YAMLEvent.Kind.scalar(
        String(decoding: UnsafeBufferPointer(start: scalar.value, count: scalar.length), as: UTF8.self),
        isQuoted: scalar.style != YAML_PLAIN_SCALAR_STYLE)
      return YAMLEvent(kind: kind, position: position, anchor: string(scalar.anchor), tag: string(scalar.tag))
    case YAML_SEQUENCE_START_EVENT:
      let start = event.data.sequence_start
      return YAMLEvent(kind: .sequenceStart, position: position, anchor: string(start.anchor), tag: string(start.tag))
    case YAML_MAPPING_START_EVENT:
      let start = event.data.mapping_start
      return YAMLEvent(kind: .mappingStart, position: position, anchor: string(start.anchor), tag: string(start.tag))
    case YAML_ALIAS_EVENT: return YAMLEvent(kind: .alias(string(event.data.alias.anchor) ?? ""), position: position)
    case YAML_SEQUENCE_END_EVENT: return YAMLEvent(kind: .sequenceEnd, position: position)
    case YAML_MAPPING_END_EVENT: return YAMLEvent(kind: .mappingEnd, position: position)
    case YAML_DOCUMENT_START_EVENT: return YAMLEvent(kind: .documentStart, position: position)
    case YAML_DOCUMENT_END_EVENT: return YAMLEvent(kind: .documentEnd, position: position)
    // The start of the stream says only what encoding it has.
    case YAML_STREAM_START_EVENT: return try next()
    // Also what libyaml gives when it is asked for more.
    default: return YAMLEvent(kind: .streamEnd, position: position)
    }
  }

  /// Why the parser cannot go on.
  private func failure() -> DescriptionError {
    let problem = parser.pointee.problem.map { String(cString: $0) }
    switch parser.pointee.error {
    case YAML_MEMORY_ERROR: return DescriptionError(.start, "there is no memory to parse the file")
    // It reads ahead of what it scans, and counts the bytes it has read.
    case YAML_READER_ERROR:
      return DescriptionError(text.position(of: parser.pointee.problem_offset), "not YAML: \(problem ?? "unreadable")")
    default:
      return DescriptionError(TextPosition(parser.pointee.problem_mark), "not YAML: \(problem ?? "unknown error")")
    }
  }
}

extension TextPosition {
  /// libyaml counts from 0.
  fileprivate init(_ mark: yaml_mark_t) { self.init(line: mark.line + 1, column: mark.column + 1) }
}

/// The text of an anchor or a tag, which ends with a zero byte.
private func string(_ pointer: UnsafeMutablePointer<yaml_char_t>?) -> String? { pointer.map { String(cString: $0) } }
