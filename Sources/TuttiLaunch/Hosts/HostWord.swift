import Glibc
import TuttiSystem

/// One word that names a host: `name`, `name:4`, `user@name:4`, `[fd00::1]:4`.
struct HostWord {
  let text: Substring
  /// Where its first character is.
  let place: HostPlace

  init(_ text: Substring, _ place: HostPlace) { (self.text, self.place) = (text, place) }

  func host() throws(LaunchError) -> LaunchHost {
    try slots(of: named(), of: text).host
  }

  /// The host with one rank, and what follows its name: nothing, or a colon and a number.
  private func named() throws(LaunchError) -> (host: LaunchHost, rest: Substring) {
    var rest = text
    var user: String?
    if let sign = text.firstIndex(of: "@") {
      user = String(text[..<sign])
      try check(text[..<sign], what: "user", Self.nameCharacters)
      rest = text[text.index(after: sign)...]
    }
    guard rest.first == "[" else {
      let name = rest.prefix { $0 != ":" }
      if rest.count(where: { $0 == ":" }) > 1, rest.allSatisfy({ $0.isHexDigit || ":.%".contains($0) }) {
        throw error(at: rest, "an IPv6 address is written in brackets: [\(rest)]:4")
      }
      try check(name, what: "host", Self.nameCharacters)
      return (LaunchHost(name: String(name), user: user), rest[name.endIndex...])
    }
    guard let end = rest.firstIndex(of: "]") else { throw error(at: rest, "'[' without a ']' after the address") }
    let address = rest[rest.index(after: rest.startIndex)..<end]
    var storage = in6_addr()
    let plain = address.prefix { $0 != "%" }
    guard inet_pton(AF_INET6, String(plain), &storage) == 1, address.allSatisfy({ $0.isASCII && !$0.isWhitespace }) else {
      throw error(at: address, "'\(shown(address))' is not an IPv6 address, and brackets are for these alone")
    }
    return (LaunchHost(name: String(address), user: user), rest[rest.index(after: end)...])
  }

  private func slots(
    of named: (host: LaunchHost, rest: Substring), of text: Substring
  ) throws(LaunchError) -> (host: LaunchHost, rest: Substring) {
    guard let colon = named.rest.first else { return named }
    guard colon == ":" else {
      throw error(at: named.rest, "'\(shown(named.rest))' after the address: a colon and a number may follow")
    }
    var host = named.host
    let number = named.rest.dropFirst()
    host.slots = try Self.number(number, place.at(text.distance(from: text.startIndex, to: number.startIndex)))
    return (host, "")
  }

  /// Reads a number of ranks.
  static func number(_ text: Substring, _ place: HostPlace) throws(LaunchError) -> Int {
    guard let value = Int(text), text.allSatisfy(\.isNumber), value <= LaunchHost.slotsMax else {
      throw place.error("'\(shown(text))' is not a number of ranks from 1 to \(LaunchHost.slotsMax)")
    }
    guard value > 0 else { throw place.error("0 ranks: leave the host out, or give it 1 to \(LaunchHost.slotsMax)") }
    return value
  }

  private static let nameCharacters = Set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_")

  private func check(_ name: Substring, what: String, _ allowed: Set<Character>) throws(LaunchError) {
    guard let first = name.first else { throw error(at: name, "a \(what) without a name") }
    // It would be an option to the remote shell.
    guard first != "-" else { throw error(at: name, "a \(what) cannot begin with '-'") }
    guard name.utf8.count <= 253 else { throw error(at: name, "a \(what)'s name of \(name.utf8.count) bytes: at most 253") }
    if let wrong = name.firstIndex(where: { !allowed.contains($0) }) {
      throw error(
        at: name[wrong...],
        "'\(shown(name[wrong...].prefix(1)))' cannot be in the name of a \(what): letters, digits, '.', '-' and '_' can")
    }
  }

  private func error(at part: Substring, _ message: String) -> LaunchError {
    place.at(text.distance(from: text.startIndex, to: part.startIndex)).error(message)
  }
}

/// A piece of a file for a message: short, and without what a terminal would obey.
func shown(_ text: Substring) -> String {
  let parts = text.prefix(40).unicodeScalars.map { scalar -> String in
    scalar.properties.generalCategory == .control || scalar.value == 0xFFFD
      ? "\\u{\(String(scalar.value, radix: 16))}" : String(scalar)
  }
  return parts.joined() + (text.count > 40 ? "..." : "")
}
