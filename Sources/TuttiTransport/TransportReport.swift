/// What a transport found on this host, for tools that show it.
package struct TransportReport: Sendable {
  /// What keeps this process from using it, in a few words; nil when nothing does.
  package var obstacle: String?
  /// More for people to read: whole lines, with a heading; empty when there is nothing.
  package var text = ""
  /// The same facts for programs.
  package var details: ReportValue?

  package init(obstacle: String? = nil, text: String = "", details: ReportValue? = nil) {
    self.obstacle = obstacle
    self.text = text
    self.details = details
  }
}

/// A value in a report, in the terms of JSON; members keep their order.
package enum ReportValue: Sendable {
  case null
  case flag(Bool)
  case integer(Int)
  case number(Double)
  case text(String)
  case list([ReportValue])
  case members([(String, ReportValue)])

  package static func optional(_ value: Int?) -> ReportValue { value.map { .integer($0) } ?? .null }
  package static func optional(_ value: String?) -> ReportValue { value.map { .text($0) } ?? .null }
}
