import Glibc
import TuttiSystem

/// Watches over a job whose ranks agents start, here or on other hosts. The first failure, of a rank or of a host, ends all
/// of them.
final class HostSupervisor: Supervisor {
  private let job: JobDescription
  private let access: HostAccess
  private let stopBell: StopBell
  private let pump: OutputPump

  init(_ job: JobDescription, _ access: HostAccess) throws(LaunchError) {
    (self.job, self.access, stopBell, pump) = (job, access, try StopBell(), try OutputPump())
  }

  deinit { pump.close() }

  let processes: [Int: pid_t] = [:]

  func stop() { stopBell.ring() }

  func supervise(_ signals: ForegroundSignals?, _ report: (String) -> Void) -> JobOutcome {
    let run = HostRun(job, access, pump)
    while !run.step(report, waitingFor: [stopBell.descriptor, signals?.descriptor ?? -1]) {
      if stopBell.hasRung {
        run.stop(nil)
        break
      }
      guard let signal = signals?.next() else { continue }
      if signal == SIGTSTP {
        run.pause()
      } else {
        run.stop(signal)
        break
      }
    }
    return run.end { signals?.next().map { $0 != SIGTSTP } ?? stopBell.hasRung }
  }
}
