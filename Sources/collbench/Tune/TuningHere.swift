import ArgumentParser
import Tutti
import TuttiChoice
import TuttiLaunch
import TuttiSystem
import TuttiTopology

/// What a job whose rank 0 is started here, with this environment, would know of its machines. What does not fit is
/// reported on standard error.
///
/// - Parameters:
///   - shape: That of the job; nil for any.
///   - file: A profile, or `none`, in place of what the environment says.
/// - Throws: `ExitCode`, once what is wrong with a file has been said.
func tuningHere(_ shape: JobShape?, _ file: String? = nil) throws -> Tuning {
  var environment = currentEnvironment()
  if let file { environment["TUTTI_TUNING"] = file }
  let families: Set = [ProcessorFamily.current()]
  let offer: TuningOffer
  do throws(FailureReport) { offer = try TuningOffer.read(environment, nil, rank: 0) } catch {
    Terminal.error("collbench: \(error.message)")
    throw ExitCode.failure
  }
  if let notice = offer.notice { Terminal.error("collbench: \(notice)") }
  guard let profile = offer.profile else { return Tuning(builtInFor: families) }
  // A rank alone has any shape.
  let (tuning, notice) = Tuning.fitting(
    profile, offer.source, isForced: offer.isForced, families: families,
    shape: shape ?? JobShape(medium: .sharedMemory, ranks: 1, processors: 1))
  if let notice { Terminal.error("collbench: \(notice)") }
  return tuning
}
