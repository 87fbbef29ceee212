// What a test asks of an SVG document: that it is well-formed, and which elements and texts are in it.

import Foundation
import FoundationXML
import Testing

final class ParsedXML: NSObject, XMLParserDelegate {
  private(set) var counts: [String: Int] = [:]
  /// The content of each text and title element, entities resolved.
  private(set) var texts: [String] = []
  private(set) var attributes: [[String: String]] = []
  private var text = ""

  init(_ document: String, sourceLocation: SourceLocation = #_sourceLocation) {
    super.init()
    let parser = XMLParser(data: Data(document.utf8))
    parser.delegate = self
    #expect(parser.parse(), "not well-formed: \(String(describing: parser.parserError))", sourceLocation: sourceLocation)
  }

  func parser(
    _ parser: XMLParser, didStartElement elementName: String, namespaceURI: String?, qualifiedName: String?,
    attributes: [String: String]
  ) {
    counts[elementName, default: 0] += 1
    self.attributes.append(attributes)
    text = ""
  }

  func parser(_ parser: XMLParser, foundCharacters string: String) { text += string }

  func parser(_ parser: XMLParser, didEndElement elementName: String, namespaceURI: String?, qualifiedName: String?) {
    if elementName == "text" || elementName == "title" { texts.append(text) }
  }

  /// Numbers that no renderer can place.
  var hasBadNumbers: Bool {
    attributes.contains { $0.values.contains { $0.contains("nan") || $0.contains("inf") } }
  }
}
