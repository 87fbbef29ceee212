import TuttiTransport

/// A link on its way from the thread that made it to the engine that will own it.
struct PassedLink: @unchecked Sendable {
  // @unchecked: its maker lets go of it when it passes it on; from then on the holder of the engine's lock uses it.
  let link: Link
}
