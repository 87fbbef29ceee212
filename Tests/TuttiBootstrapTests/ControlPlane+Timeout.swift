import TuttiSystem

@testable import TuttiBootstrap

extension ControlPlane {
  /// What an engine does when a wait has reached its deadline: finds out why, tells all ranks, and throws the first
  /// cause.
  func failAtTimeout(_ wait: ExpiredWait) -> FailureReport {
    if let found = diagnoseTimeout(wait, until: Clock.deadline(seconds: 1.5)) { report(found) }
    return firstCause ?? FailureReport(.closed, rank: rank, "no cause is known")
  }
}
