import TuttiSystem

/// Passes links from the threads that make them to the engine that will own them.
package final class LinkArrivals: Sendable {
  private struct Passed: @unchecked Sendable {
    // @unchecked: its maker lets go of it when it adds it; from then on the holder of the engine's lock uses it.
    let link: Link
  }
  private struct State {
    var links: [Passed] = []
    var isClosed = false
  }
  private let state = Lock(State())

  package init() {}

  /// Adds a link, which the caller uses no more. It is closed at once when nobody will take it.
  package func add(_ link: Link) {
    let passed = Passed(link: link)
    let isKept = state.withLock { state in
      if !state.isClosed { state.links.append(passed) }
      return !state.isClosed
    }
    if !isKept { passed.link.close() }
  }

  /// Takes the links that were added since the last call.
  package func take() -> [Link] {
    state.withLock { state in
      defer { state.links = [] }
      return state.links
    }.map(\.link)
  }

  /// Closes what nobody has taken, and what comes later.
  package func close() {
    let unused = state.withLock { state in
      defer { state.links = [] }
      state.isClosed = true
      return state.links
    }
    Link.close(unused.map(\.link))
  }
}
